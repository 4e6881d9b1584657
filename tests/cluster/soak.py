"""Rotates many credentials for a long time, with faults mixed in, and looks for what is lost or grows.

    make soak MINUTES=30

Two controllers with leader election, one proxy between them and the API server. Latency is from the API
server's answer to a source's update until a watch shows the right target. Every sample, rotation and fault
is a line of JSON in build/soak; the last line is the result. It fails when

- a rotation is lost, a target is wrong in the end, or a controller has ended;
- the anonymous memory of both processes together grows: by its slope after a warm-up, over all of the time
  measured, by more than MEMORY_KIB and LEAK_BYTES for each rotation. The first is what the worst burst after
  a fault was seen to leave in the heap: a short run finds only larger leaks, and says how large;
- descriptors or threads of the leader, or of the standby, grow: always more of them in the last third than
  ever in the first, or at any time many more than usual.
The warm-up is half of the time, ten minutes at most: by then each has led, and each fault has been met.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from harness import (
    LEASE,
    OPERATOR,
    REGION,
    ROOT,
    Cluster,
    Controller,
    World,
    condition,
    data_of,
    encode,
    unique,
    wait_for,
)
from metrics import Metrics
from oracle import Key, plain, target_data
from proxy import Answer, Proxy
from trend import Sample, Trend, quantile

from kube import Api, ApiException, Object

MEMORY_KIB = 4096  # two MiB for each process
LEAK_BYTES = 100
SPARE_DESCRIPTORS = 24  # connections that are made anew while the old ones end
SPARE_THREADS = 12  # the workers, while leadership changes hands
WIDTHS = {"rss": 9, "anonymous": 6, "descriptors": 3, "threads": 3}
LOST_SECONDS = 120  # without a right target for so long, with nothing in the way


@dataclass
class Rotation:
    name: str
    key: Key
    answered: float
    disturbed: str = ""  # the fault it met


class Record:
    """Lines of JSON."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
        self._file: TextIO = self.path.open("w", buffering=1)
        self._began, self._lock = time.monotonic(), threading.Lock()

    def write(self, kind: str, **fields: Any) -> None:
        line = {"seconds": round(time.monotonic() - self._began, 3), "kind": kind} | fields
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


class Rotations:
    """Those that are on their way, and how long the others took."""

    def __init__(self, record: Record):
        self.latencies: dict[str, list[float]] = defaultdict(list)  # by the fault they met; "" for none
        self.superseded = 0
        self.latest: dict[str, Key] = {}
        self.pending: dict[str, Rotation] = {}
        self.fault = ""  # what is wrong just now
        self._record, self._lock = record, threading.Lock()
        self._early: dict[str, tuple[Key, float]] = {}  # seen before the answer was here

    def answered(self, name: str, key: Key) -> None:
        now = time.monotonic()
        with self._lock:
            if name in self.pending:
                self.superseded += 1
            self.latest[name] = key
            self.pending[name] = Rotation(name, key, now, self.fault)
            seen = self._early.pop(name, None)
            if seen and seen[0] == key:
                self._right(name, now)

    def meets(self, fault: str) -> None:
        """Until it is called with another one."""
        with self._lock:
            self.fault = fault
            for rotation in self.pending.values():
                rotation.disturbed = rotation.disturbed or fault

    def seen(self, name: str, data: Mapping[str, str], underway: Mapping[str, Key]) -> None:
        now = time.monotonic()
        with self._lock:
            rotation = self.pending.get(name)
            if rotation and data == target_data(rotation.key, REGION):
                self._right(name, now)
            elif (key := underway.get(name)) and data == target_data(key, REGION):
                self._early[name] = key, now

    def _right(self, name: str, now: float) -> None:
        rotation = self.pending.pop(name)
        took = now - rotation.answered
        self.latencies[rotation.disturbed].append(took)
        self._record.write("rotation", ms=round(took * 1000, 2), met=rotation.disturbed)

    @property
    def count(self) -> int:
        return sum(map(len, self.latencies.values()))


@dataclass
class Watched:
    """A process, as the kernel sees it."""

    name: str
    controller: Controller
    samples: list[dict[str, float]] = field(default_factory=list)

    @cached_property
    def _metrics(self) -> str:
        return self.controller.wait_logged("serving", what="metrics")["address"]

    def leads(self) -> bool:
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=5) as answer:
            metrics = Metrics(answer.read().decode())
        return metrics.value("leader_election_master_status", name=LEASE) == 1

    def sample(self, record: Record) -> None:
        at = Path(f"/proc/{self.controller.pid}")
        status = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
        figures = {
            "rss": int(status["VmRSS"].split()[0]),
            "anonymous": int(status["RssAnon"].split()[0]),
            "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(at / "fd")),
        }
        self.samples.append({"at": time.monotonic(), "leads": self.leads()} | figures)
        record.write("sample", process=self.name, leads=self.samples[-1]["leads"], **figures)


class Soak:
    def __init__(self, cluster: Cluster, proxy: Proxy, folder: Path, count: int, rate: float, minutes: float):
        self.cluster, self.proxy, self.rate, self.seconds = cluster, proxy, rate, minutes * 60
        self.record = Record(ROOT / "build/soak")
        self.rotations = Rotations(self.record)
        self.underway: dict[str, Key] = {}
        self.names = [f"mail-{number}" for number in range(count)]
        self.faults: Counter[str] = Counter()
        self.refused = 0  # updates of sources that the API server did not answer
        self.problems: list[str] = []
        self.stopping, self.awake = threading.Event(), threading.Lock()
        cluster.api.create("Namespace", {"metadata": {"name": (name := unique("soak"))}})
        self.world = World(cluster, name)
        flags = "--watch-timeout=5s", "--log-level=info", *Controller.QUICK_LEASE
        self.processes = [
            Watched(name, Controller(proxy.kubeconfig, folder / f"{name}.log", *flags)) for name in ("a", "b")
        ]

    def run(self) -> int:
        for process in self.processes:
            process.controller.start()
        keys = {name: Key.new() for name in self.names}
        self.world.create_many(keys)
        self.world.wait_all_synced(keys, 120)
        self.rotations.latest.update(keys)
        began = time.monotonic()
        warm = began + min(600.0, self.seconds / 2)
        tasks = [self._rotate, self._watch, self._disturb, self._sample]
        threads = [threading.Thread(target=self._guard, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        self._tell(began)
        self.stopping.set()
        for thread in threads:
            thread.join(60)
        self._check_nothing_lost()
        return self._result(warm, time.monotonic())

    # -- threads

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # in a thread nobody else would hear of it
            self.problems.append(f"{task.__name__}: {error!r}")

    def _rotate(self) -> None:
        number, due = 0, time.monotonic()
        while not self.stopping.is_set():
            name, key = self.names[number % len(self.names)], Key.new()
            number += 1
            self.underway[name] = key
            body = {"data": {field: encode(value) for field, value in plain(key).items()}}
            while True:
                try:
                    self.world.change_secret(f"{name}-iam", **body)
                    break
                except (
                    Exception
                ) as error:  # the API server is away: the same again, whether it arrived or not
                    if isinstance(error, ApiException) and error.status < 429:
                        raise
                    self.refused += 1
                    time.sleep(0.1)
            self.rotations.answered(name, key)
            due = max(due + 1 / self.rate, time.monotonic() - 1)  # what was missed is not made up for
            self.stopping.wait(max(0.0, due - time.monotonic()))

    def _watch(self) -> None:
        api, since = Api(self.cluster.kubeconfig), 0
        while not self.stopping.is_set() or self.rotations.pending:
            try:
                since = since or self._list(api)
                for event in api.watch("Secret", since, 10):
                    if event["type"] == "ERROR":  # the API server has begun anew, and knows no old versions
                        since = 0
                        break
                    since = int(event["object"]["metadata"]["resourceVersion"])
                    if event["type"] == "MODIFIED":
                        self._see(event["object"])
                    if self.stopping.is_set() and not self.rotations.pending:
                        return
            except (OSError, ApiException):  # the API server is away
                time.sleep(0.05)

    def _list(self, api: Api) -> int:
        answer, _ = api.request("GET", f"/api/v1/namespaces/{self.world.namespace}/secrets")
        for secret in answer["items"]:
            self._see(secret)
        return int(answer["metadata"]["resourceVersion"])

    def _see(self, secret: Object) -> None:
        metadata = secret["metadata"]
        if metadata["namespace"] == self.world.namespace and metadata["name"] in self.underway:
            self.rotations.seen(metadata["name"], data_of(secret), self.underway)

    def _sample(self) -> None:
        """A process that is paused does not tell whether it leads: its turn comes later."""
        while not self.stopping.wait(2 if self.seconds < 600 else 5):
            with self.awake:
                for process in self.processes:
                    process.sample(self.record)

    def _disturb(self) -> None:
        """One fault after the other, with a quiet time in between."""
        faults = self.pause_leader, self.cut, self.tear, self.silence, self.overload, self.restart_server
        pause = max(12.0, min(45.0, self.seconds / 12))
        while not self.stopping.wait(pause):
            fault = faults[self.faults.total() % len(faults)]
            self.faults[fault.__name__] += 1
            self.record.write("fault", name=fault.__name__)
            self.rotations.meets(fault.__name__)
            fault()
            time.sleep(2)  # that something meets it
            # It is over when what met it is through.
            waiting = [one for one in self.rotations.pending.values() if one.disturbed]
            deadline = time.monotonic() + LOST_SECONDS
            while any(self.rotations.pending.get(one.name) is one for one in waiting):
                if time.monotonic() > deadline:
                    self.problems.append(f"not through {LOST_SECONDS} s after {fault.__name__}")
                    break
                time.sleep(0.1)
            self.rotations.meets("")

    # -- faults

    def cut(self) -> None:
        self.proxy.cut()

    def tear(self) -> None:
        self.proxy.tear(4)
        time.sleep(3)
        self.proxy.pass_all()

    def silence(self) -> None:
        self.proxy.freeze()
        time.sleep(5)
        self.proxy.thaw()

    def overload(self) -> None:
        self.proxy.answer(lambda request: Answer(429, ("Retry-After: 1",)))
        time.sleep(5)
        self.proxy.pass_all()

    def pause_leader(self) -> None:
        """It hangs until the other one leads, and goes on."""
        with self.awake:
            leader, standby = sorted(self.processes, key=Watched.leads, reverse=True)
            os.kill(leader.controller.pid, signal.SIGSTOP)
            try:
                wait_for("the other one leads", standby.leads, 30)
            finally:
                os.kill(leader.controller.pid, signal.SIGCONT)

    def restart_server(self) -> None:
        self.cluster.stop_server()
        self.cluster.start_server()

    # -- what comes of it

    def _tell(self, began: float) -> None:
        print(
            f"{'min':>5} {'rotations':>9} {'p50 ms':>7} {'p99 ms':>8} {'waiting':>7}"
            + "".join(f"   {process.name}: RSS, anon KiB, fd, thr" for process in self.processes)
        )
        done = 0
        while (now := time.monotonic()) < began + self.seconds and not self.problems:
            time.sleep(min(60.0, began + self.seconds - now, 60 - (now - began) % 60))
            took = [one for latencies in list(self.rotations.latencies.values()) for one in latencies]
            if not took:
                continue
            processes = "   ".join(
                " ".join(f"{process.samples[-1][what]:>{width}.0f}" for what, width in WIDTHS.items())
                for process in self.processes
            )
            minute = self.rotations.count - done
            done = self.rotations.count
            print(
                f"{(time.monotonic() - began) / 60:>5.1f} {minute:>9} {quantile(took, 0.5) * 1000:>7.1f} "
                f"{quantile(took, 0.99) * 1000:>8.0f} {len(self.rotations.pending):>7}   {processes}",
                flush=True,
            )

    def _check_nothing_lost(self) -> None:
        try:
            self.world.wait_all_synced(self.rotations.latest, 60)
        except AssertionError as error:
            self.problems.append(str(error).splitlines()[0])
        unready = [
            one["metadata"]["name"]
            for one in self.cluster.api.list("SesSmtpCredential", self.world.namespace)
            if condition(one, "Ready").get("status") != "True"
        ]
        if unready:
            self.problems.append(f"not ready in the end: {' '.join(unready)}")
        if self.rotations.pending:
            self.problems.append(f"never seen right: {' '.join(self.rotations.pending)}")
        for process in self.processes:
            if not process.controller.running:
                self.problems.append(f"controller {process.name} has ended")

    def _result(self, warm: float, end: float) -> int:
        print()
        self._tell_latencies()
        measured = [sample for sample in zip(*(one.samples for one in self.processes), strict=False)]
        measured = [both for both in measured if both[0]["at"] >= warm]
        if len(measured) < 15:
            self.problems.append(f"{len(measured)} samples after the warm-up tell nothing")
        else:
            self._tell_growth(measured, end - warm)
        for problem in self.problems:
            print(f"PROBLEM: {problem}")
        self.record.write("result", problems=self.problems, faults=self.faults)
        verdict = "FAILED" if self.problems else "passed"
        print(f"\n{verdict}; all of it is in {self.record.path.relative_to(ROOT)}")
        return 1 if self.problems else 0

    def _tell_latencies(self) -> None:
        heads = "".join(f" {head:>9}" for head in ("p50 ms", "p90 ms", "p99 ms", "max ms"))
        print(f"{'rotations that met':<24} {'count':>7} {'faults':>7}{heads}")
        for fault in sorted(self.rotations.latencies):
            took = self.rotations.latencies[fault]
            figures = " ".join(f"{quantile(took, share) * 1000:>9.1f}" for share in (0.5, 0.9, 0.99, 1))
            print(f"{fault or 'nothing':<24} {len(took):>7} {self.faults[fault] or '':>7} {figures}")
        print(
            f"{self.rotations.superseded} were overtaken by the next of the same source; "
            f"{self.refused} updates had to be sent again"
        )

    def _tell_growth(self, measured: list[tuple[Object, Object]], seconds: float) -> None:
        """Of samples of both processes at a time."""
        rotations = self.rate * seconds
        allowed = MEMORY_KIB + LEAK_BYTES * rotations / 1024
        print(f"\nafter a warm-up, over {seconds / 60:.1f} min: anonymous memory may grow by {allowed:.0f}")
        print(f"KiB, so that a leak of {allowed * 1024 / rotations:.0f} B a rotation is found")
        heads = "".join(f" {head:>11}" for head in ("first third", "last third", "most", "a minute"))
        print(f"{'':<26}{heads} {'95 % range':>18}")
        for what in ("rss", "anonymous"):
            for at, process in enumerate(self.processes):
                own = [(both[at]["at"], both[at][what]) for both in measured]
                self._trend(f"{process.name}: {what} KiB", own)
        both_grow = [(both[0]["at"], sum(one["anonymous"] for one in both)) for both in measured]
        trend = self._trend("both: anonymous KiB", both_grow)
        growth = trend.slope.value * (both_grow[-1][0] - both_grow[0][0])
        if growth > allowed:
            self.problems.append(f"anonymous memory grows by {growth:.0f} KiB, more than {allowed:.0f}")
        samples = [one for both in measured for one in both]
        for role, leads in (("leader", True), ("standby", False)):
            for what, spare in (("descriptors", SPARE_DESCRIPTORS), ("threads", SPARE_THREADS)):
                about = f"{role}: {what}"
                own = [(one["at"], one[what]) for one in samples if one["leads"] == leads]
                trend = self._trend(about, own)
                third = len(own) // 3
                before, after = (
                    max(value for _, value in own[:third]),
                    min(value for _, value in own[-third:]),
                )
                if after > before:
                    self.problems.append(f"{about} grow: {before:.0f} at most, then {after:.0f} at least")
                if trend.most > trend.first + spare:
                    self.problems.append(f"{about}: {trend.most:.0f} at a time, usually {trend.first:.0f}")

    def _trend(self, about: str, samples: list[Sample]) -> Trend:
        trend = Trend.of(samples)
        levels = "".join(f" {level:>11.0f}" for level in (trend.first, trend.last, trend.most))
        value, low, high = (60 * one for one in trend.slope)
        print(f"{about:<26}{levels} {value:>+11.2f} {low:>+8.2f} … {high:<+8.2f}")
        self.record.write("trend", about=about, **trend._asdict() | {"slope": trend.slope._asdict()})
        return trend


@contextmanager
def proxied(cluster: Cluster, folder: Path) -> Iterator[Proxy]:
    kubeconfig = cluster.kubeconfig_of(OPERATOR, folder)
    with Proxy.reading(kubeconfig, Path(cluster.info["caKeyFile"]).parent) as proxy:
        proxy.kubeconfig = proxy.detour(kubeconfig)
        yield proxy


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--credentials", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5, help="rotations a second")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        cluster = stack.enter_context(Cluster.for_operator(unique("soak")))
        proxy = stack.enter_context(proxied(cluster, folder))
        soak = Soak(cluster, proxy, folder, args.credentials, args.rate, args.minutes)
        try:
            return soak.run()
        finally:
            for process in soak.processes:
                process.controller.stop(seconds=20)


if __name__ == "__main__":
    sys.exit(main())
