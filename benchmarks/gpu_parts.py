"""The parts of a session on a card: what is asked, in which order, and what it may take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu_models import model
from benchmarks.tables import judged, ms, table
from rtsep.diagnostics.benchmarks import Network, throughput
from rtsep.diagnostics.laboratory import cold_start, report
from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.measurement import Protocol
from rtsep.diagnostics.laboratory.peers.registry import FULL, PEERS
from rtsep.engine.registry import ENGINES
from rtsep.errors import RtsepError
from rtsep.model.store import find
from rtsep.separation.options import EXACT, SeparationOptions

OURS, YARDSTICK, DRY = "tensorrt", "torch-graph", "torch-cpu"
HALF = "fp16"
HOPS, DRY_HOPS = 10_000, 8
PAUSE_S, DRY_PAUSE_S = 10.0, 0.05
OFFLINE_S, DRY_OFFLINE_S = 600.0, 12.0
THREADS = min(8, os.cpu_count() or 1)  # of the reference, and of what runs on the CPU
OFFLINE_ROWS = 4  # segments of a call
BUILD_S = 60.0  # that building an engine may take
BUDGETS_S = {"probe": 5.0, "offline": 20.0, "peers": 13.0, "cold start": 12.0}  # of what is no aim
SDR_DB, TIMES_REAL_TIME = 50.0, 2000.0


@dataclass(frozen=True)
class Aim:
    """A latency that is asked for: p99 of a round trip, and of the worst hop after a pause it is only told."""

    name: str
    stems: int
    context: int
    decks: int
    hop: int  # frames; short, so that many hops fit into the session
    most_ms: float
    budget_s: float  # for all of it, in the session
    sdr: bool = False


AIMS = (  # in the order of their weight: what there is no time for is the last
    Aim("2 stems, T 64", 2, 64, 1, 64, 0.5, 40.0, sdr=True),
    Aim("2 stems, T 512", 2, 512, 1, 128, 1.0, 40.0),
    Aim("5 stems, T 64", 5, 64, 1, 64, 1.0, 30.0),
    Aim("two decks of 4 stems, T 64", 4, 64, 2, 64, 1.5, 30.0),
    Aim("5 stems, T 512", 5, 512, 1, 128, 2.0, 35.0),
)
PEER_CASES = (("torch", FULL), ("torch", HALF), ("torch-graph", FULL), ("torch-graph", "tf32"), ("onnx-cuda", FULL))
DRY_PEER_CASES = (("torch-cpu", FULL), ("onnx", FULL))


class Session:
    """Measures part after part, and keeps all that is known in the folder after each.

    Args:
        folder: for `gpu.json`, the laboratory's report, and `session.json`, what was asked and found.
        seconds: for all parts together.
        dry: on the CPU, with few hops.
    """

    def __init__(self, folder: Path, seconds: float, dry: bool) -> None:
        self.folder, self.dry = folder, dry
        self._ends = time.monotonic() + seconds
        self._made = folder  # set anew while it runs: weights are too large to keep
        pause_s = DRY_PAUSE_S if dry else PAUSE_S
        self._protocol = Protocol(
            DRY_HOPS if dry else HOPS, DRY_HOPS if dry else 2000, pauses=1, pause_s=pause_s, cold=False, sdr=False
        )
        self.report = report.new_report(["python", "-m", "benchmarks.gpu_session", *sys.argv[1:]], self._protocol)
        self.found: dict[str, Any] = {"dry_run": dry, "parts": {}, "aims": [], "engine": "", "probes": {}}

    def run(self) -> None:
        """Do all parts, as far as there is time; a part that fails is said, and the next one begins."""
        with tempfile.TemporaryDirectory(prefix="rtsep-models-") as made:
            self._made = Path(made)
            self._part("probe", BUDGETS_S["probe"], self._probe)
            for aim in AIMS:
                self._part(aim.name, aim.budget_s, partial(self._latency, aim))
            for name, work in (("offline", self._offline), ("peers", self._peers), ("cold start", self._cold_start)):
                self._part(name, BUDGETS_S[name], work)

    def all_met(self) -> bool:
        """Say whether every aim was measured and met; in a dry run, whether every part ran."""
        ran = all(part["done"] for part in self.found["parts"].values())
        return ran if self.dry else ran and all(aim["met"] for aim in self.found["aims"])

    def table(self) -> str:
        """Give what was asked and found, in words."""
        lines = [judged(aim["asked"], aim["found"], aim["met"]) for aim in self.found["aims"]]
        rows = [(name, ms(1e3 * part["seconds"]), part["why"]) for name, part in self.found["parts"].items()]
        return "\n".join([f"engine: {self.found['engine']}", *lines, "", *table(["part", "ms", "failed"], rows)])

    def _part(self, name: str, budget_s: float, work: Callable[[float], None]) -> None:
        began = time.monotonic()
        why = ""
        if (left_s := self._ends - began) < min(5.0, budget_s):
            why = f"{left_s:.0f} s were left of the session"
        else:
            try:
                work(min(budget_s, left_s))
            except Exception as error:  # whatever a driver or a library does: the other parts are measured
                why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        self.found["parts"][name] = {"done": not why, "why": why, "seconds": round(time.monotonic() - began, 2)}
        self._keep()
        print(f"{name}: {why or 'done'} ({time.monotonic() - began:.1f} s)", flush=True)

    def _keep(self) -> None:
        report.write(self.report, self.folder / "gpu.json")
        report.write(self.found, self.folder / "session.json")
        (self.folder / "session.md").write_text(self.table() + "\n", encoding="utf-8")

    def _probe(self, budget_s: float) -> None:
        """Choose what runs the aims: our engine where it works, else the yardstick."""
        probes = {name: engine.probe(HALF) for name, engine in ENGINES.items() if HALF in engine.precisions}
        probes |= {name: peer.probe(HALF if HALF in peer.precisions else FULL) for name, peer in PEERS.items()}
        self.found["probes"] = {name: why or "works" for name, why in probes.items()}
        chosen = DRY if self.dry else OURS if probes.get(OURS, "there is none") == "" else YARDSTICK
        if chosen == YARDSTICK and probes[YARDSTICK]:
            raise RtsepError(probes[YARDSTICK])
        self.found["engine"] = chosen

    def _case(self, aim: Aim) -> Case:
        name, weights = model(aim.stems, self._made, self.dry)
        self.found.setdefault("weights", {})[str(aim.stems)] = weights
        engine = self.found["engine"] or YARDSTICK
        return Case(
            name,
            engine,
            FULL if self.dry else HALF,
            aim.context,
            aim.decks,
            hop=aim.hop,
            mask_interval=1,
            threads=1 if self.dry else THREADS,  # where others are at work, two wait for each other
        )

    def _latency(self, aim: Aim, budget_s: float) -> None:
        began = time.monotonic()
        case = self._case(aim)
        if case.engine == OURS and (why := self._build(case)):
            case = self._fall_back(case, why)
        left_s = max(1.0, budget_s - (time.monotonic() - began) - PAUSE_S)
        protocol = replace(self._protocol, sdr=aim.sdr, most_s=left_s)
        row = self._measured(case, protocol)
        if "reason" in row and case.engine == OURS:
            case = self._fall_back(case, row["reason"])
            row = self._measured(case, protocol)
        if "reason" in row:
            raise RtsepError(row["reason"])
        trip = row["live"]["stages"]["engine"]
        pause = row["after_pause"]["worst_ms"]
        found = f"{ms(trip['p99_ms'])} ms over {trip['count']} hops, the worst {ms(trip['max_ms'])}"
        self._judge(
            f"{aim.name}, {case.precision}: p99 of a round trip under {aim.most_ms:g} ms",
            f"{found}; a whole hop after a pause of {row['after_pause']['pause_s']:g} s {ms(pause)}",
            trip["p99_ms"] < aim.most_ms and trip["count"] >= self._protocol.hops,
        )
        if aim.sdr:
            sdr_db = row["sdr_db"]
            told = "equal to the bit" if sdr_db is None else f"{sdr_db:.1f} dB"
            weights = f"{self.found['weights'][str(aim.stems)]} weights"
            self._judge(
                f"{case.precision} against float32 above {SDR_DB:g} dB",
                f"{told}, {weights}",
                sdr_db is None or sdr_db > SDR_DB,
            )

    def _fall_back(self, case: Case, why: str) -> Case:
        """Take the yardstick from now on, and say why."""
        self.found["engine"], self.found["fell_back"] = YARDSTICK, why
        return replace(case, engine=YARDSTICK)

    def _measured(self, case: Case, protocol: Protocol) -> dict[str, Any]:
        """The row of a case, or why it is absent; what is known of it is kept as it comes."""
        kept: list[dict[str, Any]] = []
        report.measure_all(self.report, [case], protocol, kept.append, self._keep_part)
        self.found.pop("unfinished", None)
        return kept[0]

    def _keep_part(self, row: dict[str, Any]) -> None:
        self.found["unfinished"] = row
        self._keep()

    def _judge(self, asked: str, found: str, met: bool) -> None:
        self.found["aims"].append({"asked": asked, "found": found, "met": met})

    def _build(self, case: Case, newest: int = 1) -> str:
        """Build our engine in a process of its own; say why it cannot be."""
        numbers = [str(number) for number in (case.context, case.decks, newest)]
        command = [sys.executable, "-m", "benchmarks.gpu_build", case.model, case.precision, *numbers]
        patience_s = self._patience_s(BUILD_S)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s)
        except subprocess.TimeoutExpired:
            return f"building took more than {patience_s:.0f} s"
        return "" if done.returncode == 0 else " ".join(done.stderr.split())[-300:]

    def _patience_s(self, most_s: float) -> float:
        """How long a child may take: no longer than there is left."""
        return max(0.1, min(most_s, self._ends - time.monotonic()))

    def _offline(self, budget_s: float) -> None:
        """Separate whole files, or make the masks of their segments by two engines, whose copies and passes overlap."""
        seconds = DRY_OFFLINE_S if self.dry else OFFLINE_S
        case = replace(self._case(AIMS[0]), context=0)
        if case.engine in ENGINES:
            if case.engine == OURS and (why := self._build(replace(case, context=512, decks=OFFLINE_ROWS), newest=0)):
                raise RtsepError(why)
            found = throughput(case.model, EXACT, seconds, case.engine, case.threads, case.precision)
            times = found["times_real_time"]
            told = f"file to files; the network alone {found['network_times_real_time']:.0f}"
        else:  # a peer separates no files
            times = self._network(case, seconds)
            told = "the network and its copies alone"
        self.found["offline"] = {"seconds": seconds, "times_real_time": round(times, 1), "measured": told}
        asked = f"2 stems offline, {TIMES_REAL_TIME:g} times real time"
        self._judge(asked, f"{times:.0f} times, {told}", times > TIMES_REAL_TIME)

    def _network(self, case: Case, seconds: float) -> float:
        """How many times faster than real time two engines make the masks."""
        engines = [case.open(find(case.model)) for _ in range(2)]
        try:
            for engine in engines:
                engine.warmup(engine.spec.context)
            network = Network(engines, SeparationOptions(EXACT), seconds, case.sample_rate)
            network.think()
            return seconds / network.think()
        finally:
            for engine in engines:
                engine.close()

    def _peers(self, budget_s: float) -> None:
        base = self._case(AIMS[0])
        wanted = [
            replace(base, engine=engine, precision=precision)
            for engine, precision in (DRY_PEER_CASES if self.dry else PEER_CASES)
            if (engine, precision) != (base.engine, base.precision)
        ]
        short = replace(
            self._protocol, hops=min(500, self._protocol.hops), pauses=0, sdr=True, most_s=budget_s / (3 * len(wanted))
        )
        report.measure_all(self.report, wanted, short, lambda row: self._keep())

    def _cold_start(self, budget_s: float) -> None:
        self.found["cold_start"] = cold_start.cold_start(self._case(AIMS[0]), self._patience_s(cold_start.PATIENCE_S))
