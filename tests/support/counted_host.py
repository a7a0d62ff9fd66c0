"""A host in a process of its own, that tells what its native threads ask of the C library while it plays.

`python -m tests.support.counted_host null|card|insert MODEL FOLDER` prints a JSON object: thread to calls of each kind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

from rtsep.core.presets import plan
from rtsep.effects.keeper import Keeper
from rtsep.effects.rows import Level
from rtsep.engine.base import Engine
from rtsep.engine.registry import open_engine
from rtsep.host.host import Host
from rtsep.host.insert import counts, open_insert
from rtsep.host.jack_callbacks import CALLBACKS, jack_process
from rtsep.model import store
from tests.support.allocation_counter import AllocationCounter, Calls, difference
from tests.support.effects import PATIENCE_S, chain, device, gain
from tests.support.effects_rack import RACK
from tests.support.hosts import card_host, file_host, until
from tests.support.signals import noise

SECONDS = 3.0
ROUTES = "mix=1,2 vocals=3,4"


def threads() -> dict[str, int]:
    """The native ids of our threads."""
    return {thread.name: thread.native_id for thread in threading.enumerate() if thread.native_id}


def count(host: Host, counter: AllocationCounter) -> dict[str, Calls]:
    """What is called in some seconds of sound, by thread."""

    def now() -> dict[str, Calls]:
        found = {name: counter.calls(number) for name, number in threads().items()}
        if device := counter.callback_thread:
            found["callback"] = counter.calls(device, in_callback=True)
            found["driver"] = counter.calls(device)
        return found

    with host:
        assert until(lambda: host.rig.seconds > 0.0)
        before = now()
        hops = int(host.rig.pipeline.state[0]["hops"])
        assert until(lambda: host.rig.seconds > SECONDS / 2)
        host.store.set("stems/vocals/mute", 1)
        assert until(lambda: host.rig.seconds > SECONDS)
        assert int(host.rig.pipeline.state[0]["hops"]) > hops + 100
        after = now()
    return {name: difference(calls, after[name]) for name, calls in before.items() if name in after}


def count_insert(engine: Engine, counter: AllocationCounter, folder: Path) -> None:
    """With an insert on the stems: wet, dry since its process was killed, and wet again."""
    stems = engine.spec.stems
    insert = open_insert(device(), len(stems), 2, plan(engine.spec, 48000, "23").hop, 48000)
    keeper = Keeper([Level(insert)], stems, 48000, rack=RACK)
    keeper.start()
    try:
        keeper.set_chain(0, chain(gain(0.5))).result(PATIENCE_S)
        host, _ = file_host(folder, engine, noise(3 * 48000), 48000, routes=ROUTES, freewheel=False, loop=True,
                            stages=(insert,))  # fmt: skip
        threading.Timer(SECONDS / 4, lambda: os.kill(keeper.processes[0], signal.SIGKILL)).start()
        found = count(host, counter)
        assert counts(insert, 0)["sent"] > 100 and counts(insert, 0)["dry"] > 0
        print(json.dumps(found))
    finally:
        keeper.stop()
        keeper.join()


def main(output: str, model: str, folder: Path) -> None:
    engine, counter = open_engine(store.find(model)), AllocationCounter()
    if output == "insert":
        count_insert(engine, counter, folder)
        return
    if output == "card":
        counted = SimpleNamespace(address=counter.put_between(jack_process.address))
        CALLBACKS["jack_set_process_callback"] = counted
        host = card_host(engine, routes=ROUTES)
    else:
        host, _ = file_host(folder, engine, noise(3 * 48000), 48000, routes=ROUTES, freewheel=False, loop=True,
                            record=folder / "stems")  # fmt: skip
    print(json.dumps(count(host, counter)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
