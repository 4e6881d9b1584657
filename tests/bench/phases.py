"""What is measured, and how. Each phase ends with a look at all targets and statuses: a figure of a
controller that did something wrong is none."""

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import WRITERS
from controllers import Program
from fleet import Fleet, create_foreign, delete_foreign, expected, rotate_source, spread

LATENCIES, WARM_UP, PAUSE = 200, 20, 0.05
FOLLOWED = 10  # rotations that a restarted controller has to follow, spread over all credentials
FEW = 10  # credentials beside the Secrets of others
FOREIGN_BYTES, LARGE_BYTES = 4 << 10, 512 << 10

Emit = Callable[..., None]  # what, value, unit, and what else belongs to it


@dataclass(frozen=True)
class Sizes:
    credentials: int
    foreign: int
    large: int
    idle_minutes: float

    @property
    def patience(self) -> float:
        """Seconds for all credentials. Three times what the slowest known controller needs."""
        return 60 + 0.03 * self.credentials


def work(program: Program, sizes: Sizes, phases: Iterable[str], folder: Path, log: Path, emit: Emit) -> None:
    """Cold sync, and on the same cluster those of latency, burst and restart that are asked for."""
    with Fleet.on_new_cluster(program, folder, log) as fleet:
        fleet.create(sizes.credentials)
        cold(fleet, sizes, emit)
        for phase in (latency, burst, restart):
            if phase.__name__ in phases:
                phase(fleet, sizes, emit)


def memory_of(fleet: Fleet, emit: Emit, state: str, **more: Any) -> None:
    emit("memory", fleet.process.memory(), "KiB", state=state, credentials=len(fleet.keys), **more)


def cold(fleet: Fleet, sizes: Sizes, emit: Emit) -> None:
    """Sources and credentials exist; then the controller starts."""
    right, mark, spent = expected(fleet.keys), fleet.cluster.now(), fleet.cpu()
    with fleet.watch() as watch:
        began = fleet.process.start()
        times = fleet.wait_right(watch, right, sizes.patience)
    fleet.settle()
    fleet.verify()
    emit("cold", times[-1] - began, "s")
    emit("cold first to last", times[-1] - times[0], "s")
    emit("cold requests", dict(fleet.requests(mark)), "requests")
    emit("cold CPU", dict(fleet.cpu() - spent), "s")
    memory_of(fleet, emit, "after cold sync")


def latency(fleet: Fleet, sizes: Sizes, emit: Emit) -> None:
    """One source is updated; how long from the API server's answer until a watch shows the right target? The
    one thread first waits for the answer, then for the event. The pause lets the controller finish."""
    subjects = spread(list(fleet.keys), min(LATENCIES, sizes.credentials))
    times = []
    gc.disable()
    try:
        with fleet.watch() as watch:
            for name in [*subjects[:WARM_UP], *subjects]:
                [item] = fleet.rotated([name]).items()
                right = expected(fleet.keys, [name])
                fleet.client.send(rotate_source(item))
                answered = time.monotonic()
                [seen] = fleet.wait_right(watch, right, 30)
                times.append(max(0.0, seen - answered))
                time.sleep(PAUSE)
    finally:
        gc.enable()
    fleet.settle()
    fleet.verify()
    emit("latency", [round(1000 * seconds, 2) for seconds in times[-len(subjects) :]], "ms")


def burst(fleet: Fleet, sizes: Sizes, emit: Emit) -> None:
    """All sources are updated as fast as the API server takes them."""
    new = fleet.rotated(list(fleet.keys))
    right, mark, spent = expected(new), fleet.cluster.now(), fleet.cpu()
    with fleet.watch() as watch:
        finish = fleet.writers.start(rotate_source, list(new.items()))
        times = fleet.wait_right(watch, right, sizes.patience)
    updates = finish(60)
    fleet.settle()
    fleet.verify()
    emit("burst", times[-1] - updates.first, "s")
    emit("burst updates", updates.seconds, "s", writers=WRITERS)
    emit("burst requests", dict(fleet.requests(mark)), "requests")
    emit("burst CPU", dict(fleet.cpu() - spent), "s")
    memory_of(fleet, emit, "after burst")


def restart(fleet: Fleet, sizes: Sizes, emit: Emit) -> None:
    """Nothing has changed meanwhile. It works again when it has followed rotations made right after its
    start, of credentials spread over all; those do not count among its requests."""
    emit("stop", fleet.process.stop(), "s")
    subjects = spread(list(fleet.keys), FOLLOWED)
    new = fleet.rotated(subjects)
    right, mark = expected(new), fleet.cluster.now()
    with fleet.watch() as watch:
        clock, began = time.time(), fleet.process.start()
        for item in new.items():
            fleet.client.send(rotate_source(item))
        times = fleet.wait_right(watch, right, sizes.patience)
    fleet.settle()
    fleet.verify()
    audit = [entry for entry in fleet.audit(mark, but=subjects) if "leases" not in entry[0]]
    emit("restart", times[-1] - began, "s")
    emit("restart last request", max(at for _, at in audit) - clock, "s")
    emit("restart requests", dict(fleet.requests(mark, but=subjects)), "requests")
    memory_of(fleet, emit, "after restart")


# ---- memory --------------------------------------------------------------------------------------------


def memory(program: Program, sizes: Sizes, folder: Path, log: Path, emit: Emit) -> None:
    """Without credentials, with a few, and then with more and more Secrets that are none of its business: as
    they come, and after a start among them. Each time it has first followed a rotation, so it has read all
    that came before."""
    with Fleet.on_new_cluster(program, folder, log) as fleet:
        fleet.process.start()
        fleet.wait_watching()
        fleet.settle()
        memory_of(fleet, emit, "no credentials")
        with fleet.watch() as watch:
            fleet.create(FEW)
            fleet.wait_right(watch, expected(fleet.keys), 60)
        fleet.settle()
        memory_of(fleet, emit, "first credentials")
        foreign_secrets(fleet, emit, "foreign", sizes.foreign, FOREIGN_BYTES, parts=(0, 0.25, 0.5, 1))
        foreign_secrets(fleet, emit, "large", sizes.large, LARGE_BYTES, parts=(0, 1))
        fleet.verify()


def foreign_secrets(
    fleet: Fleet, emit: Emit, prefix: str, count: int, size: int, parts: Sequence[float]
) -> None:
    every = [f"{prefix}-{number}" for number in range(count)]
    points = [round(part * count) for part in parts]

    def measure(state: str, point: int) -> None:
        fleet.prove()
        memory_of(fleet, emit, state, foreign=point, bytes=size)

    def start_again() -> None:
        fleet.process.stop()
        fleet.process.start()

    there = 0
    start_again()
    for point in points:
        fleet.writers.send(create_foreign, [(name, size) for name in every[there:point]])
        there = point
        measure("as they come", point)
    for point in reversed(points):
        fleet.writers.send(delete_foreign, every[point:there])
        there = point
        start_again()
        measure("after a start", point)


# ---- idle ----------------------------------------------------------------------------------------------


def idle(
    programs: Sequence[Program], sizes: Sizes, folder: Path, log: Callable[[Program], Path], emit: Emit
) -> None:
    """All at the same time, each on a cluster of its own."""
    with ExitStack() as stack:
        fleets: list[Fleet] = []
        for program in programs:
            fleet = stack.enter_context(Fleet.on_new_cluster(program, folder, log(program)))
            fleets.append(fleet)
            fleet.create(sizes.credentials)
            fleet.start_synced(sizes.patience)
        began = time.monotonic()
        before = [(fleet.process.ticks(), fleet.cluster.now()) for fleet in fleets]
        time.sleep(60 * sizes.idle_minutes)
        minutes = round((time.monotonic() - began) / 60, 2)
        for fleet, (ticks, mark) in zip(fleets, before):
            about = {"controller": fleet.user, "minutes": minutes}
            emit("idle ticks", fleet.process.ticks() - ticks, "ticks", **about)
            emit("idle requests", dict(fleet.requests(mark)), "requests", **about)
            memory_of(fleet, emit, "after idle", **about)
            fleet.verify()


def smoke(program: Program, folder: Path, log: Path) -> None:
    """It does the job at all: without this nobody waits for long."""
    with Fleet.on_new_cluster(program, folder, log) as fleet:
        fleet.create(3)
        fleet.start_synced(30)
        fleet.process.stop()
