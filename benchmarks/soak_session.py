"""One session of the soak (soak.py): a host on a device that stumbles, and what it promised and did not keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.hands import Hands, SlowEngine
from benchmarks.numbered import FRAMES, NO_NUMBER, SILENT, numbers
from benchmarks.results import Figures
from benchmarks.stumbles import script
from benchmarks.stumbling_clock import StumblingClock
from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled
from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.engine.identity import IdentityEngine
from rtsep.host.clock import Clock
from rtsep.host.deck import DeckSettings
from rtsep.host.engine_thread import EngineThread
from rtsep.host.host import Host
from rtsep.host.report import host_report
from rtsep.host.rig import HostSettings
from rtsep.host.routes import parse_routes
from tests.support.engines import stateful_spec, windowed_spec

SAMPLE_RATE = 48000
NUMBERS = "numbers.wav"
MODELS: tuple[ModelSpec, ...] = (
    stateful_spec(),
    windowed_spec(),
    windowed_spec(ahead=1),
    stateful_spec(output="magnitude"),
)
PRESETS = ("23", "12", "46", "6")
KINDS = {"device": ("d",), "file": ("f",), "both": ("d", "f")}  # which decks are judged: no knob of theirs is turned
OURS = ("in_place", "silent", "absent", "lost", "strayed", "bled", "jumps")
SUMS = (
    "hops",
    "inferences",
    "late_masks",
    "stale_masks",
    "skipped_masks",
    "state_resets",
    "output_underflows",
    "output_frames_missed",
    "input_overflows",
    "input_frames_refused",
    "file_frames_starved",
    "record_overflows",
    "device_losses",
    "block_changes",
)


@dataclass
class Session:
    """One run of a host: how it was set, and what was found."""

    number: int
    seed: int
    kind: str
    model: ModelSpec
    preset: str
    loop: bool
    broken: list[str] = field(default_factory=list)
    figures: Figures = field(default_factory=dict)

    @property
    def judged(self) -> tuple[str, ...]:
        """The decks whose every frame is accounted for, in their order: "d" is the device's input, "f" the file."""
        return KINDS[self.kind]

    @property
    def window(self) -> WindowSpec:
        """How its model is run."""
        return plan(self.model, SAMPLE_RATE, self.preset)

    @property
    def name(self) -> str:
        """Which it was, in words."""
        return f"session {self.number} (seed {self.seed}, {self.kind}, {self.model.name} {self.preset})"


def draw(number: int, seed: int) -> Session:
    """Set a session by its number and its seed."""
    preset = PRESETS[(number + number // len(PRESETS)) % len(PRESETS)]
    loop = bool(np.random.default_rng(seed).random() < 0.7)
    return Session(number, seed, list(KINDS)[number % len(KINDS)], MODELS[number % len(MODELS)], preset, loop)


def open_session(session: Session, folder: Path, clock: Clock, engine: SlowEngine) -> Host:
    """Make the host of a session: the decks that are judged come first, the first one is recorded."""
    file = Resampled(open_audio(folder / NUMBERS), SAMPLE_RATE, 2)
    first, second = DeckSettings("d", record=folder / "stems"), DeckSettings("f", file, loop=session.loop)
    if session.judged[0] == "f":
        first, second = replace(second, record=first.record), replace(first, record=None)
    decks = {deck.name: session.model.stems for deck in (first, second)}
    routes = [f"{deck}/mix={2 * i + 1},{2 * i + 2}" for i, deck in enumerate(decks)] + ["mix=5,6"]
    settings = HostSettings(session.window, parse_routes(routes, decks, 2), (first, second))
    return Host(EngineThread(lambda: engine), clock, settings)


def knobs(session: Session, host: Host) -> list[str]:
    """List the parameters that do not touch what is judged."""
    kept = tuple(f"decks/{deck}/" for deck in session.judged)
    return [path for path in host.store.table if not path.startswith(kept)]


def handled(session: Session, host: Host, hands: Hands, engine: SlowEngine) -> Figures:
    """Give what happened to a host, and its own counters; note who died."""
    session.broken += [f"died: {death}" for death in host.supervisor.deaths]
    report = host_report(host)
    return {
        "turns": hands.turns,
        "seeks": hands.seeks,
        "snapshots": hands.snapshots,
        "latencies_checked": hands.latencies_checked,
        "slow_passes": engine.delays,
        **{name: report[name] for name in SUMS},
    }


def play(session: Session, folder: Path, seconds: float) -> None:
    """Play a session to its end and judge it."""
    drawn = script(session.seed, seconds, SAMPLE_RATE)
    length = soundfile.info(folder / NUMBERS).frames
    lengths = tuple(length if deck == "f" else 0 for deck in session.judged)
    clock = StumblingClock(drawn.rows, 2, lengths, SAMPLE_RATE, 6, session.window.latency.total, drawn.fails)
    engine = SlowEngine(IdentityEngine(session.model, (0.25, 0.75)), session.seed)
    host = open_session(session, folder, clock, engine)
    ear = clock.ears[0]
    found = (lambda: (int(ear["delay"]), int(ear["delay_change"]))) if session.judged[0] == "d" else None
    hands = Hands(host, session.seed, knobs(session, host), found)
    with host, hands:
        while not clock.ended and not hands.hung.wait(0.05) and not host.finished:
            pass
        session.figures = handled(session, host, hands, engine)
    session.figures |= {
        **{name: host_report(host)[name] for name in SUMS},  # as it was at the very end
        "events": drawn.events,
        "ears": [{name: int(one[name]) for name in OURS} for one in clock.ears],
        **{name: int(clock.log[0][name]) for name in ("frames", "paid", "gaps", "calm_dropouts")},
    }
    session.broken += [*hands.broken, *judge(session, clock, host, hands)]
    session.broken += recorded(session, folder / "stems", length)


def judge(session: Session, clock: StumblingClock, host: Host, hands: Hands) -> list[str]:
    """Say what was promised and not kept by a session."""
    log, figures, broken = clock.log[0], session.figures, []
    outputs = host.rig.device_io.outputs.state[0]
    for i, ear in enumerate(clock.ears):
        where = f"deck {host.rig.decks[i].name}"
        for name in ("lost", "strayed", "bled"):
            if ear[name]:
                broken.append(
                    f"{where}: {ear[name]} frames {name}, the first {ear['wrong_frame']} "
                    f"(number {ear['wrong_number']}, latency {ear['wrong_delay']})"
                )
        if ear["silent"] != outputs["missed"] + log["paid"]:
            broken.append(f"{where}: {ear['silent']} silent frames, counted {outputs['missed']} and {log['paid']}")
        if sum(int(ear[name]) for name in OURS[:-1] if name != "bled") != log["frames"]:
            broken.append(f"{where}: the frames do not add up to {log['frames']}")
        if ear["jumps"] > hands.seeks + log["starved"]:
            broken.append(f"{where}: the file jumped {ear['jumps']} times, {hands.seeks} seeks were asked for")
        if not ear["in_place"]:
            broken.append(f"{where}: no frame was heard in its place")
    if host.watch.losses < clock.losses:
        broken.append(f"{clock.losses} losses of the device, {host.watch.losses} were seen")
    if log["nonfinite"]:
        broken.append(f"{log['nonfinite']} samples were not finite")
    if figures["block_changes"] != log["changes"] - 1 and log["changes"]:
        broken.append(f"{figures['block_changes']} changes of the block, {log['changes'] - 1} were seen")
    if host.supervisor.left_behind:
        broken.append(f"would not end: {', '.join(host.supervisor.left_behind)}")
    if figures["record_overflows"]:
        broken.append(f"{figures['record_overflows']} overflows of the recording")
    return broken


def recorded(session: Session, stems: Path, length: int) -> list[str]:
    """Compare what was recorded, the sum of the stems, with what went in."""
    sounds = [soundfile.read(stems / f"{stem}.wav", dtype="float32")[0] for stem in session.model.stems]
    for path in stems.iterdir():
        path.unlink()
    found = numbers(np.sum(sounds, axis=0, dtype=np.float32))
    silent, places = found == SILENT, np.arange(len(found))
    session.figures["recorded_frames"], ear = len(found), session.figures["ears"][0]
    strange = np.count_nonzero(found == NO_NUMBER)
    broken = [f"{strange} recorded frames are none of ours"] if strange else []
    if session.judged[0] == "f":
        origins = ((places - found) % length)[found >= 0]
        jumps = int(np.count_nonzero(np.diff(origins)))
        if jumps > session.figures["seeks"] + session.figures["file_frames_starved"]:
            broken.append(f"the recording jumps {jumps} times, {session.figures['seeks']} seeks were asked for")
        return broken
    wrong = ~silent & (found >= 0) & (found != places % FRAMES)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        broken.append(f"{np.count_nonzero(wrong)} recorded frames are misplaced, the first {at} is {found[at]}")
    if np.count_nonzero(silent) > session.figures["input_frames_refused"]:
        broken.append(f"{np.count_nonzero(silent)} recorded frames are silent; heard so were {ear['absent']}")
    return broken
