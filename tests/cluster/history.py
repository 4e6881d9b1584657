"""Every version that objects ever had, in the order of etcd's revisions, and the proof that none is missing.

A watch of the API server tells what the objects held. etcd itself is watched beside it, for the keys and
revisions alone: what the two saw must be the same. That etcd's own stream is whole follows from the counter
that it keeps with each key: 1 for the first version, one more for each after it.
"""

import base64
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from harness import Cluster, unique, wait_for

from kube import Api, Object

ETCD_KEYS = {
    "Secret": "/registry/secrets/",
    "SesSmtpCredential": "/registry/ses-smtp.dev/sessmtpcredentials/",
}
WATCH_SECONDS = 10  # then it is asked for again, from where it was


@dataclass(frozen=True)
class Version:
    """What an object held from this revision on; of a deletion, what it held until then."""

    revision: int
    kind: str
    namespace: str
    name: str
    body: Object
    deleted: bool
    seen: float  # by time.monotonic()

    @property
    def uid(self) -> str:
        return self.body["metadata"]["uid"]


class History:
    """From the moment it is made. Threads add to it."""

    def __init__(self, cluster: Cluster, namespaces: set[str]):
        self._cluster, self._namespaces = cluster, namespaces
        self._api = Api(cluster.kubeconfig)
        self._versions: list[Version] = []
        self._etcd: dict[str, list[tuple[str, int, int]]] = {kind: [] for kind in ETCD_KEYS}
        self._problems: list[str] = []
        self._stopping = threading.Event()
        # Of no interest: they are written to, so that there is something to hear of.
        self._mark, self._touched, self._complete = unique("history"), 0, 0
        spec = {"source": {"secretName": "none"}, "suspend": True}
        for kind, body in (("Secret", {}), ("SesSmtpCredential", {"spec": spec})):
            cluster.api.create(kind, {"metadata": {"name": self._mark}} | body, "default")
        since = revision(cluster.api)
        self._read = {(stream, kind): since for stream in ("objects", "etcd") for kind in ETCD_KEYS}
        self._threads = [
            threading.Thread(target=self._run, args=(read, kind), daemon=True)
            for kind in ETCD_KEYS
            for read in (self._watch_objects, self._watch_etcd)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * WATCH_SECONDS)
        for kind in ETCD_KEYS:
            self._cluster.api.delete(kind, self._mark, "default")

    @property
    def versions(self) -> list[Version]:
        """Up to the last time of `catch_up`: further on, one kind may be ahead of the other."""
        known = (one for one in list(self._versions) if one.revision <= self._complete)
        return sorted(known, key=attrgetter("revision"))

    def catch_up(self, seconds: float = 60) -> None:
        """Returns when all that has been written by now is part of it."""
        marks = []
        self._touched += 1
        touch = {"metadata": {"annotations": {"example.com/touched": str(self._touched)}}}
        for kind in ETCD_KEYS:
            touched = self._cluster.api.patch(kind, self._mark, touch, "default")
            marks.append(there := int(touched["metadata"]["resourceVersion"]))
            for stream in ((read, kind) for read in ("objects", "etcd")):
                wait_for(
                    f"the watch {stream} is at revision {there}",
                    lambda stream=stream, there=there: self._problems or self._read[stream] >= there,
                    seconds,
                )
        assert not self._problems, "\n".join(self._problems)
        self._complete = min(marks)

    def assert_complete(self) -> None:
        """As far as `catch_up` has come."""
        for kind, events in self._etcd.items():
            told = {
                (f"{one.namespace}/{one.name}", one.revision, one.deleted)
                for one in self.versions
                if one.kind == kind
            }
            happened = set()
            last: dict[str, int] = {}
            for path, at, count in list(events):
                if at > self._complete:
                    break
                # After a deletion, whose count is 0, a key begins anew. What was there before us may go on.
                assert path not in last or count in (0, last[path] + 1), (
                    f"etcd's stream skips {path} before {at}"
                )
                last[path] = count
                happened.add((path, at, count == 0))
            assert told == happened, f"{kind}: the watch missed {happened - told}, made up {told - happened}"

    # -- threads

    def _run(self, read: Callable[[str], None], kind: str) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    read(kind)
                except TimeoutError:
                    pass  # nothing happened for so long
                except OSError:
                    self._stopping.wait(0.2)  # the API server is away
        except Exception as error:  # in a thread nobody else would hear of it
            self._problems.append(f"{read.__name__} of {kind}: {error!r}")

    def _watch_objects(self, kind: str) -> None:
        for event in self._api.watch(kind, self._read["objects", kind], WATCH_SECONDS):
            assert event["type"] != "ERROR", event["object"]
            metadata = event["object"]["metadata"]
            at = int(metadata["resourceVersion"])
            if event["type"] != "BOOKMARK" and metadata["namespace"] in self._namespaces:
                place, deleted = (metadata["namespace"], metadata["name"]), event["type"] == "DELETED"
                self._versions.append(Version(at, kind, *place, event["object"], deleted, time.monotonic()))
            self._read["objects", kind] = at

    def _watch_etcd(self, kind: str) -> None:
        prefix = ETCD_KEYS[kind].encode()
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        create = {
            "key": base64.b64encode(prefix).decode(),
            "range_end": base64.b64encode(end).decode(),
            "start_revision": self._read["etcd", kind] + 1,
        }
        request = urllib.request.Request(
            f"{self._cluster.info['etcd']}/v3/watch", json.dumps({"create_request": create}).encode()
        )
        with urllib.request.urlopen(request, timeout=WATCH_SECONDS) as answer:
            for line in answer:
                result = json.loads(line)["result"]
                assert not result.get("canceled"), result
                events = []
                for event in result.get("events", []):
                    key = event["kv"]
                    path = base64.b64decode(key["key"]).decode().removeprefix(ETCD_KEYS[kind])
                    # protobuf's JSON leaves zeros out
                    events.append((path, int(key["mod_revision"]), int(key.get("version", 0))))
                self._etcd[kind] += [one for one in events if one[0].partition("/")[0] in self._namespaces]
                if events:
                    self._read["etcd", kind] = events[-1][1]


def revision(api: Api) -> int:
    """etcd's, now."""
    return int(api.request("GET", "/api/v1/namespaces", limit=1)[0]["metadata"]["resourceVersion"])
