/* Loaded before the C library (LD_PRELOAD), this counts what each thread asks of it: memory, and mutexes.
   A callback of PortAudio's can be put between, so that what is called within it is told from the driver's own. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MALLOC, CALLOC, REALLOC, FREE, ALIGNED, MUTEX, KINDS };
enum { THREADS = 4096 };

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static struct { int thread; long calls[2][KINDS]; } table[THREADS]; /* calls: without and within the callback */
static atomic_int threads;
static __thread int slot __attribute__((tls_model("initial-exec")));
static __thread int within __attribute__((tls_model("initial-exec")));
static int (*lock)(pthread_mutex_t *);

static void count(int kind)
{
    if (!slot) {
        slot = atomic_fetch_add(&threads, 1) + 1;
        if (slot < THREADS)
            table[slot].thread = syscall(SYS_gettid);
    }
    if (slot < THREADS)
        table[slot].calls[within][kind]++;
}

void *malloc(size_t size) { count(MALLOC); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { count(CALLOC); return __libc_calloc(number, size); }
void *realloc(void *memory, size_t size) { count(REALLOC); return __libc_realloc(memory, size); }
void free(void *memory) { count(FREE); __libc_free(memory); }
void *memalign(size_t step, size_t size) { count(ALIGNED); return __libc_memalign(step, size); }
void *aligned_alloc(size_t step, size_t size) { count(ALIGNED); return __libc_memalign(step, size); }

int posix_memalign(void **memory, size_t step, size_t size)
{
    count(ALIGNED);
    *memory = __libc_memalign(step, size);
    return *memory ? 0 : ENOMEM;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    count(MUTEX);
    if (!lock)
        lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    return lock(mutex);
}

/* Calls of a thread so far; ids are given again when a thread has ended, so the newest row is the one. */
long calls_of(int thread, int kind, int in_callback)
{
    int last = atomic_load(&threads);
    for (int i = last < THREADS ? last : THREADS - 1; i > 0; i--)
        if (table[i].thread == thread)
            return table[i].calls[in_callback][kind];
    return 0;
}

typedef int callback(const void *, void *, unsigned long, const void *, unsigned long, void *);
static callback *inner;
static atomic_int callback_id;

void put_between(callback *address) { inner = address; }
int callback_thread(void) { return atomic_load(&callback_id); }

int counted_callback(const void *in, void *out, unsigned long frames, const void *time, unsigned long flags, void *user)
{
    if (!atomic_load(&callback_id))
        atomic_store(&callback_id, (int)syscall(SYS_gettid));
    within = 1;
    int result = inner(in, out, frames, time, flags, user);
    within = 0;
    return result;
}

/* For the counter's own test: each kind once. */
void ask_once(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    void *volatile memory = malloc(8);
    memory = realloc(memory, 4096);
    free(memory);
    memory = calloc(2, 8);
    free(memory);
    void *aligned = NULL;
    if (posix_memalign(&aligned, 64, 128) == 0)
        free(aligned);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}
