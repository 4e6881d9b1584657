"""Faults on the way to the API server and behind it, with 20 credentials each time. Sources are rotated
while things fail, by a connection of the test's own. After each fault nothing is lost, the requests are no
more than the back-offs allow, and the time to recover is printed: run it with -s.

The faults have a cluster of their own, whose etcd has little room.
"""

import base64
import json
import math
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import certificates
import pytest
import yaml
from harness import (
    MANAGER,
    OPERATOR,
    REGION,
    Cluster,
    Controller,
    World,
    condition,
    data_of,
    named_version,
    unique,
    version,
    wait_for,
)
from oracle import Key, target_data
from proxy import HOSTS, Answer, Proxy, Request
from urllib3.exceptions import HTTPError

from kube import ApiException, Object, path

COUNT, ROUNDS = 20, 5
ETCD_QUOTA = 24 << 20
SHORT_WATCH = "--watch-timeout=2s"  # a watch is asked for two to four seconds
# Seconds, as the program has them.
RETRY_PERIOD = 1  # of Controller.QUICK_LEASE
READER_BACKOFF, READER_BACKOFF_MOST = 0.8, 30
KEY_BACKOFF, KEY_BACKOFF_MOST = 0.005, 30
REQUEST_DEADLINE = 30
WATCH_SILENCE = 10  # that a watch may have beyond the time it was asked for


def tries(seconds: float, first: float, most: float) -> int:
    """How often something is tried in that time, when each wait is twice the one before."""
    count, wait = 1, first
    while (seconds := seconds - wait) > 0:
        count, wait = count + 1, min(2 * wait, most)
    return count


class Row(NamedTuple):
    fault: str
    lasted: float
    recovered: float  # seconds after its end
    within: float  # that were allowed
    requests: int  # since it began
    allowed: int
    connections: int

    def __str__(self) -> str:
        return (
            f"{self.fault:<52} {self.lasted:>6.1f} {self.recovered:>9.2f} {self.within:>6.0f} "
            f"{self.requests:>8} {self.allowed:>7} {self.connections:>11}"
        )


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    columns = (
        f"{'lasted':>6} {'recovered':>9} {'within':>6} {'requests':>8} {'allowed':>7} {'connections':>11}"
    )
    print(f"\n{'fault':<52} {columns}")
    print(*rows, sep="\n")


@pytest.fixture(scope="module")
def fragile() -> Iterator[Cluster]:
    with Cluster.for_operator(unique("faults"), ETCD_QUOTA_BACKEND_BYTES=str(ETCD_QUOTA)) as cluster:
        yield cluster


@dataclass
class Fault:
    """Something that is broken, until `mended`."""

    began: float
    ended: float = 0

    def mended(self) -> None:
        self.ended = time.monotonic()


@dataclass
class Trial:
    """20 credentials in sync, by a controller that reaches the API server through a proxy."""

    world: World
    controller: Controller
    proxy: Proxy
    table: list[Row]
    elects: bool
    rotations: int = 0
    log: int = 0  # what was logged since is of the fault

    def __post_init__(self) -> None:
        self.names = [f"mail-{number}" for number in range(COUNT)]
        self.keys = {name: Key.new() for name in self.names}
        self.world.create_many(self.keys)
        self.in_sync(60)

    @property
    def cluster(self) -> Cluster:
        return self.world.cluster

    def rotate(self, *names: str) -> None:
        self.keys |= {name: Key.new() for name in names or self.names}
        self.write_sources(*names)
        self.rotations += 1

    def write_sources(self, *names: str) -> None:
        self.world.rotate_many({name: self.keys[name] for name in names or self.names})

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """All sources get new keys, several times; the controller is in the midst of it when the body begins,
        for its answers come slowly. What cannot be written because the server is away is written afterwards.
        """
        before = self.targets()

        def rotate() -> None:
            for _ in range(ROUNDS):
                self.rotate()

        with ThreadPoolExecutor(1) as pool:
            self.proxy.trickle(256, 0.01)
            writing = pool.submit(rotate)
            wait_for("the first targets follow", lambda: self.targets() != before)
            yield
            self.proxy.trickle(0, 0)
            with suppress(HTTPError, ApiException):
                writing.result()
        self.write_sources()

    def behind(self) -> list[str]:
        """The targets that are not what follows from their source."""
        return [name for name, target in self.targets().items() if not self.right(name, target)]

    def right(self, name: str, target: Object | None) -> bool:
        return target is not None and data_of(target) == target_data(self.keys[name], REGION)

    def targets(self) -> dict[str, Object | None]:
        found = self.world.api.list(
            "Secret", self.world.namespace, labelSelector=f"app.kubernetes.io/managed-by={MANAGER}"
        )
        by_name = {one["metadata"]["name"]: one for one in found}
        return {name: by_name.get(name) for name in self.names}

    def wrong(self) -> list[str]:
        """What is not as it has to be: targets and statuses."""
        api, namespace = self.world.api, self.world.namespace
        secrets = {one["metadata"]["name"]: one for one in api.list("Secret", namespace)}
        credentials = {one["metadata"]["name"]: one for one in api.list("SesSmtpCredential", namespace)}
        found = []
        for name in self.names:
            credential, target = credentials[name], secrets.get(name)
            status, ready = credential.get("status", {}), condition(credential, "Ready")
            if target is None or not self.right(name, target):
                found.append(f"{name}: target")
            elif (
                ready.get("status") != "True"
                or len(status["conditions"]) > 1
                or status["observedGeneration"] != credential["metadata"]["generation"]
                or status["source"] != version(secrets[f"{name}-iam"])
                or status["target"] | {"merged": True} != named_version(target) | {"merged": True}
            ):
                found.append(f"{name}: status")
        return found

    def wait_logged(self, message: str, seconds: float = 15) -> None:
        """By the controller, since the fault began."""
        self.controller.wait_logged(message, self.log, seconds)

    def in_sync(self, seconds: float = 30) -> None:
        def detail() -> str:
            return f"{self.wrong()}\n{self.controller.tail()}"

        wait_for("all targets and statuses are right", lambda: not self.wrong(), seconds, detail)

    @contextmanager
    def fault(
        self,
        what: str,
        slack: float,
        more_requests: Callable[[float], float] = lambda seconds: 0,
        more_connections: Callable[[float], float] = lambda seconds: 0,
        within: float = 0,
    ) -> Iterator[Fault]:
        """The body breaks something and mends it. Afterwards all comes right by itself, in time.

        A back-off that doubles lasts at most twice what has passed by then, jitter included, and its first
        wait; `slack` is for what comes on top: the lease, deadlines, the work. `within` is a bound instead.
        """
        pid, self.log = self.controller.pid, self.controller.log_size()
        mark, asked, connections = self.cluster.now(), len(self.proxy.requests), self.proxy.connections
        rotations = self.rotations
        fault = Fault(time.monotonic())
        yield fault
        assert fault.ended, "the test says when it has mended it"
        lasted = fault.ended - fault.began
        within = within or 2 * lasted + 2 * READER_BACKOFF + slack
        self.in_sync(within)
        recovered = time.monotonic() - fault.ended
        # What comes to those that are in sync again would be a loop, too.
        self.world.settle(30)
        seconds = time.monotonic() - fault.began
        connections = self.proxy.connections - connections
        short_watches = seconds / 2 if SHORT_WATCH in self.controller.command else 0
        # Two readers; each time a probe and a watch, perhaps once more on a connection of its own.
        readers = 2 * 3 * (tries(seconds, READER_BACKOFF, READER_BACKOFF_MOST) + 1 + short_watches)
        lease = 3 * seconds / RETRY_PERIOD if self.elects else 0
        work = (self.rotations - rotations + 1) * COUNT * 5 + 2 * 8  # 3 requests, an event, in two calls
        allowed = math.ceil(work + readers + lease + more_requests(seconds))
        reused = 2 * (8 + 2)  # of the workers, and for events; made anew
        if self.proxy.reads:
            requests = len(self.proxy.requests) - asked
        else:  # those that had no answer had a connection of their own
            requests = connections + len(self.cluster.calls(mark))
        self.table.append(Row(what, lasted, recovered, within, requests, allowed, connections))
        reading = len(of_collections(self.proxy.requests[asked:]))
        assert reading <= readers, f"a hot loop of the readers: {reading} > {readers}"
        connected = readers + lease + reused + more_connections(seconds)
        assert connections <= connected, f"a hot loop of connections: {connections}"
        assert requests <= allowed, f"a hot loop\n{self.controller.tail(self.log)}"
        assert recovered <= within
        assert self.controller.running and self.controller.pid == pid
        assert self.controller.health("/healthz") == self.controller.health("/readyz") == 200
        assert self.behind() == []


def tries_of_keys(seconds: float) -> float:
    """Each credential's, while what it asks for fails."""
    return COUNT * tries(seconds, KEY_BACKOFF, KEY_BACKOFF_MOST)


@pytest.fixture
def place(fragile: Cluster) -> Iterator[World]:
    """A namespace whose credentials the next test does not see."""
    namespace = unique("faults")
    fragile.api.create("Namespace", {"metadata": {"name": namespace}})
    yield World(fragile, namespace)
    for kind in ("SesSmtpCredential", "Secret"):
        fragile.api.request("DELETE", path(kind, namespace))


@pytest.fixture
def begin(place: World, tmp_path: Path, table: list[Row]) -> Iterator[Callable[..., Trial]]:
    with ExitStack() as stack:

        def make(
            *flags: str,
            reading: bool = False,
            elects: bool = True,
            token_file: Path | None = None,
            authority_file: Path | None = None,
        ) -> Trial:
            info = place.cluster.info
            kubeconfig = place.cluster.kubeconfig_of(OPERATOR, tmp_path)
            if token_file:
                with rewritten(kubeconfig) as content:
                    content["users"][0]["user"] = {"tokenFile": str(token_file)}
            authority = Path(info["caKeyFile"]).parent
            proxy = Proxy.reading(kubeconfig, authority) if reading else Proxy(info["server"])
            stack.enter_context(proxy)
            by_proxy = proxy.detour(kubeconfig)
            if authority_file:
                with rewritten(by_proxy) as content:
                    del content["clusters"][0]["cluster"]["certificate-authority-data"]
                    content["clusters"][0]["cluster"]["certificate-authority"] = str(authority_file)
            lease = Controller.QUICK_LEASE if elects else ("--no-leader-elect",)
            controller = Controller(by_proxy, tmp_path / "log", *lease, *flags).start()
            stack.callback(lambda: ended(controller))
            return Trial(place, controller, proxy, table, elects)

        yield make


def ended(controller: Controller) -> None:
    assert controller.stop() == 0


@contextmanager
def rewritten(file: Path) -> Iterator[Object]:
    content = yaml.safe_load(file.read_text())
    yield content
    file.write_text(yaml.safe_dump(content))


# ---- the server --------------------------------------------------------------------------------------------


def test_api_server_killed(begin: Callable[..., Trial]) -> None:
    """Amid a rotation of all sources; no call gets an answer, no watch an end."""
    trial = begin()
    # It leads again when its next try to renew, or to campaign, is answered.
    # Where nobody answers, each try of a credential is a connection.
    with trial.fault("API server killed, and back", slack=5, more_connections=tries_of_keys) as fault:
        with trial.rotating():
            trial.cluster.kill_server()
            trial.wait_logged("API server does not answer, trying again")
            trial.cluster.start_server()
            fault.mended()


def test_etcd_paused_for_longer_than_a_lease(begin: Callable[..., Trial]) -> None:
    """Reads and writes hang; the leader gives up its lease."""
    trial = begin()
    with trial.fault("etcd paused, until the lease is lost", slack=5) as fault:
        with trial.rotating():
            with trial.cluster.paused_etcd():
                trial.wait_logged("lost the lease")
            fault.mended()


def test_etcd_paused_for_longer_than_a_request_may_take(begin: Callable[..., Trial]) -> None:
    trial = begin(elects=False)
    # Only requests have failed, not watches: their back-off ends soon.
    with trial.fault("etcd paused, until requests are given up", slack=0, within=15) as fault:
        with trial.rotating():
            with trial.cluster.paused_etcd():
                trial.wait_logged("API server does not answer, trying again", REQUEST_DEADLINE + 10)
            fault.mended()


class Etcd:
    """Its API as JSON."""

    JUNK = base64.b64encode(b"/junk").decode()

    def __init__(self, cluster: Cluster):
        self._url = cluster.info["etcd"]

    def ask(self, what: str, **body: object) -> Object:
        request = urllib.request.Request(f"{self._url}/v3/{what}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fill(self) -> None:
        """Until it refuses writes: alarm NOSPACE."""
        value = base64.b64encode(bytes(1 << 20)).decode()
        with suppress(urllib.error.HTTPError):
            for _ in range(ETCD_QUOTA >> 20):
                self.ask("kv/put", key=self.JUNK, value=value)
        assert [one["alarm"] for one in self.alarms()] == ["NOSPACE"]

    def alarms(self) -> list[Object]:
        return self.ask("maintenance/alarm", action="GET").get("alarms", [])

    def make_room(self) -> None:
        """As its manual tells an operator to."""
        revision = self.ask("kv/deleterange", key=self.JUNK)["header"]["revision"]
        self.ask("kv/compaction", revision=revision, physical=True)
        self.ask("maintenance/defragment")
        for alarm in self.alarms():
            self.ask("maintenance/alarm", action="DEACTIVATE", **alarm)


@pytest.mark.parametrize("elects", [True, False], ids=["elected", "alone"])
def test_etcd_is_full(begin: Callable[..., Trial], elects: bool) -> None:
    """Reads go on, writes fail: those of targets, of statuses, of the lease. Deletions are no writes to
    it."""
    trial = begin(elects=elects, reading=True)
    etcd = Etcd(trial.cluster)
    gone = trial.names[:5]
    what = f"etcd full, {'the lease is lost' if elects else 'no election'}"
    with trial.fault(what, slack=5, more_requests=tries_of_keys) as fault:
        try:
            etcd.fill()
            with pytest.raises(ApiException):
                trial.rotate(trial.names[-1])
            for name in gone:
                trial.world.delete_secret(name)
            if elects:
                trial.wait_logged("lost the lease")
            else:

                def refused() -> bool:
                    asked = [request.path for request in trial.proxy.requests if request.method == "PATCH"]
                    return all(sum(f"/secrets/{name}?" in one for one in asked) > 5 for name in gone)

                wait_for("the deleted targets are tried again and again", refused)
            assert trial.controller.health("/healthz") == trial.controller.health("/readyz") == 200
            assert set(gone) <= set(trial.behind())
        finally:
            etcd.make_room()
        fault.mended()
        trial.write_sources(trial.names[-1])


# ---- the way to it -----------------------------------------------------------------------------------------


def test_watches_cut_in_mid_line(begin: Callable[..., Trial]) -> None:
    """Again and again. No event is lost, and nothing is listed anew."""
    trial = begin(reading=True)
    mark = len(trial.proxy.requests)
    with trial.fault("watches cut in mid-line, 3 times", slack=3) as fault:
        trial.proxy.tear(3)
        trial.rotate()
        wait_for("some are cut", lambda: trial.proxy.torn >= 2, 30)
        trial.rotate()
        wait_for("all are cut", lambda: trial.proxy.torn == 3, 30)
        fault.mended()
    assert lists(trial, mark) == []


def test_long_events_cut_in_mid_line(begin: Callable[..., Trial]) -> None:
    """Of events that take several reads, cut far inside."""
    trial = begin(reading=True)
    mark = len(trial.proxy.requests)
    padding = {"metadata": {"annotations": {"padding": "x" * 200_000}}}
    with trial.fault("watches cut in the midst of an event of 200 kB", slack=3) as fault:
        trial.proxy.tear(2, after=150_000, which=lambda one: one.watches and "/secrets" in one.path)
        for name in trial.names[:3]:
            trial.world.change_secret(f"{name}-iam", **padding)
        trial.rotate()
        wait_for("both are cut", lambda: trial.proxy.torn == 2, 30)
        fault.mended()
    assert lists(trial, mark) == []


def lists(trial: Trial, since: int) -> list[Request]:
    """Of everything, not probes."""
    asked = of_collections(trial.proxy.requests[since:])
    return [request for request in asked if not request.watches and "limit=1" not in request.path]


def of_collections(requests: list[Request]) -> list[Request]:
    """Lists, probes and watches."""
    ends = "/secrets", "/sessmtpcredentials"
    return [request for request in requests if request.path.partition("?")[0].endswith(ends)]


def test_half_open_connections(begin: Callable[..., Trial]) -> None:
    """Those there are fall silent amid the work, and never end; new ones pass. As when a load balancer has
    forgotten them but acknowledges what it gets: nothing but time tells."""
    trial = begin(SHORT_WATCH)
    mark, longest = trial.cluster.now(), 2 * 2 + WATCH_SILENCE
    assert longest < REQUEST_DEADLINE
    what = "connections half open, with requests in flight"
    with trial.fault(what, slack=0, within=REQUEST_DEADLINE + 10) as fault:
        with trial.rotating():
            trial.proxy.freeze()
            trial.proxy.thaw()
            fault.mended()
    calls = trial.cluster.calls(mark)
    assert [call for call in calls if call.verb == "list" and not call.probes] == []


def test_bytes_one_at_a_time(begin: Callable[..., Trial]) -> None:
    """A watch may be slow; a renewal of the lease that takes too long is given up, however it goes on."""
    trial = begin(reading=True)
    with trial.fault("one byte each 5 ms, until the lease is lost", slack=5) as fault:
        with trial.rotating():
            trial.proxy.trickle(1, 0.005)
            trial.wait_logged("lost the lease", seconds=30)
            trial.proxy.pass_all()
            fault.mended()


def test_slow_bytes(begin: Callable[..., Trial]) -> None:
    """All goes on, the lists of a start included, if only a little at a time."""
    trial = begin(reading=True)
    trial.proxy.trickle(256, 0.003)
    trial.controller.restart()
    with trial.fault("256 bytes each 3 ms", slack=5) as fault:
        trial.rotate()
        trial.in_sync()
        trial.proxy.pass_all()
        fault.mended()


class Storm:
    """Answers 429 to everything, but for the lease unless told so."""

    def __init__(self, trial: Trial, headers: Callable[[Request], tuple[str, ...]], lease: bool = False):
        self.refused: list[Request] = []
        self._headers, self._lease, self._trial = headers, lease, trial

    def __enter__(self) -> "Storm":
        self._trial.proxy.answer(self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._trial.proxy.pass_all()

    def _answer(self, request: Request) -> Answer | None:
        if "/leases" in request.path and not self._lease:
            return None
        self.refused.append(request)
        return Answer(429, self._headers(request))

    def of(self, name: str) -> list[Request]:
        return [one for one in self.refused if one.path.endswith(f"/secrets/{name}-iam")]

    def wait(self) -> None:
        """Until every source was refused three times, and every watch was."""
        names = self._trial.names
        wait_for("each source is refused", lambda: all(len(self.of(name)) >= 3 for name in names), 30)
        self._trial.proxy.cut()
        cut = time.monotonic()
        wait_for("reading on is refused", lambda: len(of_collections(self.refused)) >= 4, 30)
        wait_for("that has gone on for a while", lambda: time.monotonic() > cut + 3)


def test_storm_of_429_with_retry_after(begin: Callable[..., Trial]) -> None:
    trial = begin(reading=True)
    what = "429, Retry-After: 1"
    with trial.fault(what, slack=3, more_requests=lambda seconds: COUNT * (seconds + 1)) as fault:
        with Storm(trial, lambda request: ("Retry-After: 1",)) as storm:
            trial.rotate()
            storm.wait()
        fault.mended()
    for name in trial.names:
        times = [request.at for request in storm.of(name)]
        assert all(later - before > 0.95 for before, later in zip(times, times[1:])), f"{name}: {times}"


def test_storm_of_429_without_retry_after(begin: Callable[..., Trial]) -> None:
    """That spares nothing."""
    trial = begin(reading=True)
    with trial.fault("429 to all, the lease too", slack=5, more_requests=tries_of_keys) as fault:
        with Storm(trial, lambda request: (), lease=True) as storm:
            trial.rotate()
            storm.wait()
            trial.wait_logged("lost the lease")
        fault.mended()


ABSURD = (
    *("-1", "soon", "1.5", "+1", "0", "99999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT"),
    *("1, 2", "0x10", "", "\u00b2"),
)


def test_storm_of_429_with_an_absurd_retry_after(begin: Callable[..., Trial]) -> None:
    """What is no number of seconds is none. One of 136 years is one of five minutes, and a change of the
    source goes first."""
    trial = begin(reading=True)
    patient = trial.names[0]

    def headers(request: Request) -> tuple[str, ...]:
        if f"/secrets/{patient}-iam" in request.path:
            return ("Retry-After: 4294967295",)
        return (f"Retry-After: {ABSURD[len(storm.refused) % len(ABSURD)]}",)

    with trial.fault("429, Retry-After: absurd", slack=3, more_requests=tries_of_keys) as fault:
        with Storm(trial, headers) as storm:
            trial.rotate()
            trial.names.remove(patient)
            storm.wait()
            trial.names.insert(0, patient)
            assert len(storm.of(patient)) == 1
        fault.mended()
        trial.rotate(patient)


# ---- who is who --------------------------------------------------------------------------------------------


def test_token_expires(begin: Callable[..., Trial], place: World, tmp_path: Path) -> None:
    """A service account's, in a file. It stops being valid, and the file has another one a while later."""
    api, namespace = place.api, place.namespace
    place.cluster.grant_all(f"system:serviceaccount:{namespace}:operator")
    api.create("ServiceAccount", {"metadata": {"name": "operator"}}, namespace)
    file = tmp_path / "token"

    def issue(bond: str) -> str:
        """A token that is valid as long as that Secret is there."""
        reference = {"apiVersion": "v1", "kind": "Secret", "name": bond}
        api.create("Secret", {"metadata": {"name": bond}}, namespace)
        spec = {"audiences": [], "boundObjectRef": reference}
        where = path("ServiceAccount", namespace, "operator", "token")
        token = api.request("POST", where, {"spec": spec})[0]["status"]["token"]
        file.with_suffix(".new").write_text(token)
        file.with_suffix(".new").rename(file)
        return token

    old = issue("first")
    trial = begin(reading=True, token_file=file)
    with trial.fault(
        "token invalid, then another in the file", slack=5, more_requests=tries_of_keys
    ) as fault:
        place.delete_secret("first")
        wait_for("the token is refused", lambda: status_with(place.cluster, old) == 401, 30)
        began = len(trial.proxy.requests)
        trial.rotate()
        trial.wait_logged("lost the lease")
        trial.proxy.cut()
        wait_for("reading on is refused", lambda: len(of_collections(trial.proxy.requests[began:])) >= 2, 30)
        assert trial.behind() == trial.names
        new = issue("second")
        fault.mended()
    assert {request.token for request in trial.proxy.requests} == {old, new}


def status_with(cluster: Cluster, token: str) -> int:
    """Of an answer to a bearer of that token."""
    tls = ssl.create_default_context(cafile=cluster.info["caFile"])
    request = urllib.request.Request(
        f"{cluster.info['server']}/api", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10, context=tls) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_authority_rotated(begin: Callable[..., Trial], fragile: Cluster, tmp_path: Path) -> None:
    """The server's certificate comes from another authority, and the file that names it follows a while
    later."""
    file, authority = tmp_path / "ca.crt", tmp_path / "authority"
    shutil.copy(fragile.info["caFile"], file)
    trial = begin(reading=True, authority_file=file)
    with trial.fault("another CA, then its certificate in the file", slack=5) as fault:
        new = certificates.make_authority(authority)
        trial.proxy.inward = certificates.context(authority, HOSTS)
        trial.proxy.cut()
        trial.rotate()
        trial.wait_logged("lost the lease")
        assert trial.behind() == trial.names
        shutil.copy(new, file.with_suffix(".new"))
        file.with_suffix(".new").rename(file)
        fault.mended()
