"""N credentials on a local cluster, one controller that serves them, and whether its work is right."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from client import Client, Failure, Request, Watch, Writers
from controllers import TICKS, Process, Program, ticks
from harness import REGION, Cluster, encode, unique
from oracle import Key, plain, target_data

NAMESPACE, FOREIGN = "bench", "foreign"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CREDENTIALS = f"/apis/ses-smtp.dev/v1alpha1/namespaces/{NAMESPACE}/sessmtpcredentials"
FOREIGN_SECRETS = f"/api/v1/namespaces/{FOREIGN}/secrets"
SERVERS = "kube-apiserver", "etcd"  # whose CPU time is looked at
QUIET = 1.5  # so long without a request: the work is done

Encoded = dict[str, str]  # a Secret's data as the API server shows it


def names(count: int) -> list[str]:
    return [f"mail-{number:05}" for number in range(count)]


def spread(items: Sequence[str], count: int) -> list[str]:
    """So many of them, evenly, with the first and the last."""
    if count >= len(items):
        return list(items)
    return [items[round(number * (len(items) - 1) / max(1, count - 1))] for number in range(count)]


def source(name: str, key: Key) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-iam"},
        "data": {field: encode(value) for field, value in plain(key, region=REGION).items()},
    }


def create_source(subject: tuple[str, Key]) -> Request:
    return Request("POST", SECRETS, source(*subject))


def rotate_source(subject: tuple[str, Key]) -> Request:
    return Request("PUT", f"{SECRETS}/{subject[0]}-iam", source(*subject))


def create_credential(name: str) -> Request:
    body = {
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "metadata": {"name": name},
        "spec": {"source": {"secretName": f"{name}-iam"}},
    }
    return Request("POST", CREDENTIALS, body)


def create_foreign(subject: tuple[str, int]) -> Request:
    name, size = subject
    with open("/dev/urandom", "rb") as random:
        data = {"value": encode(random.read(size))}
    return Request(
        "POST",
        FOREIGN_SECRETS,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data},
    )


def delete_foreign(name: str) -> Request:
    return Request("DELETE", f"{FOREIGN_SECRETS}/{name}")


class Fleet:
    def __init__(self, cluster: Cluster, program: Program, folder: Path, log: Path):
        self.cluster, self.user = cluster, program.name
        cluster.grant_all(self.user)
        self.process = Process(program, cluster.kubeconfig_of(self.user, folder), log)
        self._servers = {name: cluster.pid_of(name) for name in SERVERS}
        self.keys: dict[str, Key] = {}
        self.client, self.writers = Client(cluster.kubeconfig), Writers(cluster.kubeconfig)
        for namespace in (NAMESPACE, FOREIGN):
            cluster.api.create("Namespace", {"metadata": {"name": namespace}})

    @staticmethod
    @contextmanager
    def on_new_cluster(program: Program, folder: Path, log: Path) -> Iterator["Fleet"]:
        with Cluster.for_operator(unique("bench"), quiet=True) as cluster:
            fleet = Fleet(cluster, program, folder, log)
            try:
                yield fleet
            except (Failure, AssertionError) as problem:
                raise Failure(f"{program.name}: {problem}") from problem
            finally:
                fleet.process.kill()
                fleet.writers.close()
                fleet.client.close()

    # -- the world

    def create(self, count: int) -> None:
        """Sources and credentials up to that number."""
        new = {name: Key.new() for name in names(count) if name not in self.keys}
        self.keys |= new
        self.writers.send(create_source, list(new.items()))
        self.writers.send(create_credential, list(new))

    def rotated(self, subjects: Sequence[str]) -> dict[str, Key]:
        """New keys, to be written."""
        new = {name: Key.new() for name in subjects}
        self.keys |= new
        return new

    # -- what the controller made of it

    def cpu(self) -> Counter[str]:
        """Seconds that the controller has worked since it was started, and the servers since they were."""
        spent = {"controller": self.process.ticks() if self.process.running else 0}
        spent |= {name: ticks(pid) for name, pid in self._servers.items()}
        return Counter({name: count / TICKS for name, count in spent.items()})

    def watch(self) -> Watch:
        """Of the targets: sources have no such label."""
        return Watch(self.client, SECRETS, "&labelSelector=app.kubernetes.io/managed-by")

    def wait_right(self, watch: Watch, expected: Mapping[str, Encoded], seconds: float) -> list[float]:
        """When each target was seen to be right, in that order."""
        missing, times = dict(expected), []

        def what() -> str:
            self.process.check()
            return f"{len(missing)} of {len(expected)} right targets, such as {sorted(missing)[:3]}"

        if missing:
            for at, secret in watch.events(seconds, what):
                name = secret["metadata"]["name"]
                if name in missing and secret.get("data") == missing[name]:
                    del missing[name]
                    times.append(at)
                    if not missing:
                        break
        return times

    def start_synced(self, seconds: float) -> None:
        """Starts the controller among all that is there, and waits for its work."""
        with self.watch() as watch:
            self.process.start()
            self.wait_right(watch, expected(self.keys), seconds)
        self.settle()
        self.verify()

    def prove(self, count: int = 1, seconds: float = 60) -> None:
        """It has followed all that happened before: rotations made now are followed. Then it rests."""
        subjects = spread(list(self.keys), count)
        with self.watch() as watch:
            for item in self.rotated(subjects).items():
                self.client.send(rotate_source(item))
            self.wait_right(watch, expected(self.keys, subjects), seconds)
        self.settle()

    def settle(self, seconds: float = 120) -> None:
        """Until it has asked for nothing but its lease for a while."""
        deadline = time.monotonic() + seconds
        while True:
            mark = self.cluster.now()
            time.sleep(QUIET)
            self.process.check()
            if not (calls := [what for what in self.requests(mark) if "leases" not in what]):
                return
            if time.monotonic() > deadline:
                raise Failure(f"the time is over; it still asks for {calls[:5]}")

    def wait_watching(self, seconds: float = 60) -> None:
        """It watches both kinds, whether there are any or not."""
        deadline = time.monotonic() + seconds
        while True:
            calls = self.requests(0)
            if missing := {"watch secrets", "watch sessmtpcredentials"} - calls.keys():
                self.process.check()
                if time.monotonic() > deadline:
                    raise Failure(f"the time is over; missing: its {' and '.join(sorted(missing))}")
                time.sleep(0.05)
            else:
                return

    def verify(self) -> None:
        """All targets are what follows from the sources, and all statuses name the versions that exist."""
        secrets = {secret["metadata"]["name"]: secret for secret in self.client.list(SECRETS)}
        right = expected(self.keys)
        wrong = [name for name in right if secrets.get(name, {}).get("data") != right[name]]
        if wrong:
            raise Failure(f"{len(wrong)} of {len(right)} targets are wrong or missing, such as {wrong[:3]}")
        versions = {name: secret["metadata"]["resourceVersion"] for name, secret in secrets.items()}
        stale = []
        for credential in self.client.list(CREDENTIALS):
            name, status = credential["metadata"]["name"], credential.get("status", {})
            ready = {one["type"]: one["status"] for one in status.get("conditions", [])}.get("Ready")
            seen = [status.get(kind, {}).get("resourceVersion") for kind in ("source", "target")]
            if ready != "True" or seen != [versions[f"{name}-iam"], versions[name]]:
                stale.append(name)
        if stale:
            raise Failure(f"{len(stale)} statuses do not say what is there, such as {stale[:3]}")

    # -- what it asked of the API server

    def audit(self, since: int, but: Sequence[str] = ()) -> list[tuple[str, float]]:
        """Each request as "verb resource", a watch when it begins, all others when they have been answered;
        with the wall clock's time. Without those about the credentials named in `but`."""
        left_out = {part for name in but for part in (name, f"{name}-iam")}
        found = []
        for entry in self.cluster.audit(since, self.user):
            verb, target = entry["verb"], entry.get("objectRef", {})
            if entry["stage"] != ("ResponseStarted" if verb == "watch" else "ResponseComplete"):
                continue
            name = target.get("name", "")
            if name in left_out or (
                target.get("resource") == "events" and name.partition(".")[0] in left_out
            ):
                continue
            resource = "/".join(filter(None, [target.get("resource"), target.get("subresource")]))
            at = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
            found.append((f"{verb} {resource or entry['requestURI'].partition('?')[0]}", at))
        return found

    def requests(self, since: int, but: Sequence[str] = ()) -> Counter[str]:
        return Counter(what for what, _ in self.audit(since, but))


def expected(keys: Mapping[str, Key], subjects: Sequence[str] | None = None) -> dict[str, Encoded]:
    """By Python's own HMAC."""
    return {
        name: {field: encode(value) for field, value in target_data(keys[name], REGION).items()}
        for name in (keys if subjects is None else subjects)
    }
