from __future__ import annotations

import math
import threading

from rtsep.control.publisher import Publisher
from tests.support.hosts import until
from tests.support.rigs import snapshot


def test_before_the_first_there_is_none() -> None:
    publisher = Publisher()
    assert publisher.latest is None and publisher.number == 0 and publisher.age_s == math.inf
    assert publisher.wait(0, 0.0) == 0


def test_readers_see_the_newest_and_how_old_it_is() -> None:
    time_s = 100.0
    publisher = Publisher(lambda: time_s)
    first, second = snapshot(hops=1), snapshot(hops=2)
    publisher.publish(first)
    assert publisher.latest is first and publisher.number == 1
    publisher.publish(second)
    time_s = 100.75
    assert publisher.latest is second and publisher.latest is second, "reading takes nothing away"
    assert publisher.age_s == 0.75
    assert publisher.wait(1, 0.0) == 2 and publisher.wait(0, 0.0) == 2 and publisher.wait(2, 0.0) == 2


def test_one_wakes_all_that_wait() -> None:
    publisher = Publisher()
    seen: list[int] = []
    waiting = [threading.Thread(target=lambda: seen.append(publisher.wait(0, 200.0)), daemon=True) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert until(lambda: len(publisher._news._waiters) == 3)  # type: ignore[attr-defined]
    publisher.publish(snapshot())
    for thread in waiting:
        thread.join(10.0)
    assert seen == [1, 1, 1]


def test_many_readers_see_snapshots_in_their_order_and_disturb_nobody() -> None:
    publisher = Publisher()
    stories: list[list[int]] = [[] for _ in range(3)]

    def read(story: list[int]) -> None:
        number = 0
        while number < 500:
            number = publisher.wait(number, 30.0)
            latest = publisher.latest
            assert latest is not None
            story.append(latest.hops)

    readers = [threading.Thread(target=read, args=(story,)) for story in stories]
    for reader in readers:
        reader.start()
    for hops in range(1, 501):
        publisher.publish(snapshot(hops=hops))
    for reader in readers:
        reader.join()
    for story in stories:
        assert story == sorted(story) and story[-1] == 500
