"""A cluster, a controller, and a namespace to try things in."""

import base64
import ctypes
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.error import HTTPError

import yaml
from metrics import Metrics
from oracle import Key, plain, target_data

from kube import Api, Object

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / os.environ.get("SESSMTP_BIN", "build/release/bin/ses-smtp")
LOCAL_CLUSTER = ROOT / "tools/local-cluster"
OPERATOR = "ses-smtp-operator-test"  # the user that the controller under test is
MANAGER = "ses-smtp-operator"
LEASE, LEASE_NAMESPACE = "ses-smtp-operator", "ses-smtp-system"
GARBAGE_SECONDS = 45  # the garbage collector looks for new CRDs every 30 s
CRD = "sessmtpcredentials.ses-smtp.dev"
REGION = "eu-west-1"

# Reasons that need a person; all others pass by themselves.
STALLED = {
    "SourceKeysNotFound", "SourceKeysAmbiguous", "SourceValueEmpty", "TemporaryCredentials",
    "AlreadyDerivedPassword", "SourceKeysSwapped", "NotAnAccessKeyId", "SourceValueMalformed",
    "SourceValueDoubleEncoded", "SourceIsTarget", "RegionMissing", "RegionInvalid", "EndpointUnknown",
    "TargetConflict", "TargetImmutable", "TargetTypeImmutable", "TargetTooLarge", "TemplateInvalid",
    "InvalidSpec",
}  # fmt: skip
NORMAL = {  # events; all others are warnings
    "Synced", "Rotated", "TargetRepaired", "Adopted", "PreviousExpired", "Suspended", "Resumed",
    "RestartTriggered",
}  # fmt: skip

T = TypeVar("T")


def wait_for(
    what: str, probe: Callable[[], T | None], seconds: float = 15, detail: Callable[[], str] = str
) -> T:
    """The probe's first answer that is true. Asks again at short intervals until the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        overdue = time.monotonic() > deadline
        if answer := probe():
            return answer
        if overdue:
            raise AssertionError(f"{what}: not within {seconds} s\n{detail()}")
        time.sleep(0.02)


@cache
def program(name: str) -> str:
    """The path of a pinned program; it is built if need be."""
    done = subprocess.run([ROOT / "tools/program", name], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


# ---- the cluster ---------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A request that the API server answered, from its audit log."""

    verb: str
    resource: str  # "secrets", "sessmtpcredentials/status" …; the path, for what is no resource
    namespace: str
    name: str
    code: int
    query: str = ""

    @property
    def probes(self) -> bool:
        """Asks for one object, to hear whether the API server still knows a version."""
        return self.verb == "list" and "limit=1" in self.query.split("&")

    @property
    def what(self) -> tuple[str, str]:
        return self.verb, self.resource

    @property
    def writes(self) -> bool:
        return self.verb not in ("get", "list", "watch")


def but_barriers(calls: Iterable[Call]) -> list[Call]:
    """Without those that `World.settle` causes."""
    return [call for call in calls if not call.name.startswith("barrier")]


class Cluster:
    def __init__(self, name: str):
        self.name = name
        self.info = json.loads(self._tool("env", "--json", name))
        self.kubeconfig = Path(self.info["kubeconfig"])
        self.api = Api(self.kubeconfig)

    @staticmethod
    def up(name: str, *flags: str, quiet: bool = False, **environment: str) -> "Cluster":
        """It ends by itself when this process does. etcd takes settings from the environment."""
        arguments = "up", name, "--owner-pid", str(os.getpid()), *flags
        if quiet:
            Cluster._tool(*arguments, **environment)
        else:
            subprocess.run([LOCAL_CLUSTER, *arguments], env=os.environ | environment, check=True)
        return Cluster(name)

    @staticmethod
    @contextmanager
    def for_operator(name: str, quiet: bool = False, **environment: str) -> Iterator["Cluster"]:
        """With the CRD, and with the operator's rights."""
        cluster = Cluster.up(name, quiet=quiet, **environment)
        try:
            cluster.install_crd()
            cluster.install_rbac()
            yield cluster
        finally:
            cluster.down()

    def down(self) -> None:
        self._tool("down", self.name)

    def stop_server(self) -> None:
        self._tool("stop", self.name, "apiserver")

    def kill_server(self) -> None:
        self._tool("kill", self.name, "apiserver")

    def start_server(self) -> None:
        self._tool("start", self.name, "apiserver")

    def pid_of(self, component: str) -> int:
        """Of "kube-apiserver", "etcd" or "kube-controller-manager", as it runs now."""
        return json.loads(self._tool("env", "--json", self.name))["components"][component]["pid"]

    @contextmanager
    def paused_etcd(self) -> Iterator[None]:
        etcd = self.pid_of("etcd")
        os.kill(etcd, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(etcd, signal.SIGCONT)

    def backup(self, folder: Path) -> None:
        """Copies what etcd holds, at one moment: what a power cut would leave."""
        with self.paused_etcd():
            shutil.copytree(self._data, folder)

    def restore(self, folder: Path) -> None:
        """Puts the copy back: every resourceVersion since then never was."""
        parts = "etcd", "apiserver", "controller-manager"
        for part in reversed(parts):
            self._tool("stop", self.name, part)
        shutil.rmtree(self._data)
        shutil.copytree(folder, self._data)
        for part in parts:
            self._tool("start", self.name, part)

    @property
    def _data(self) -> Path:
        return Path(self.info["folder"]) / "etcd"

    def install_crd(self, edit: Callable[[Object], object] = lambda crd: None) -> None:
        """crds/, after an edit of what it says."""
        [path] = (ROOT / "crds").iterdir()
        crd = yaml.safe_load(path.read_text())
        edit(crd)
        self.api.apply("CustomResourceDefinition", crd)
        # Its condition "Established" comes a moment before the first request is served.
        wait_for("the CRD is served", lambda: self.kubectl("get", "sesc", check=False).returncode == 0, 30)

    def remove_crd(self) -> None:
        self.kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=30s")

    def install_rbac(self) -> None:
        """The operator's rights, for the user that the tests run it as."""
        self.kubectl("apply", "--server-side", "-f", ROOT / "deploy/base/rbac.yaml")
        self.grant_all(OPERATOR)

    def grant_all(self, user: str) -> None:
        self.api.apply("ClusterRoleBinding", binding("ClusterRole", MANAGER, user))
        self.grant_lease(user)

    def grant_lease(self, user: str) -> None:
        self.api.apply("RoleBinding", binding("Role", f"{LEASE}-leader-election", user), LEASE_NAMESPACE)

    def revoke_lease(self, user: str) -> None:
        self.api.delete("RoleBinding", user, LEASE_NAMESPACE)

    def kubeconfig_of(self, user: str, folder: Path) -> Path:
        """For that user, with a client certificate. It has the rights that a test binds to it."""
        path = folder / f"{user}.kubeconfig"
        path.write_text(self._tool("kubeconfig", self.name, "--user", user))
        path.chmod(0o600)
        return path

    def kubectl(
        self, *args: Any, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        cache = (
            self.kubeconfig.parent / "kubectl-cache"
        )  # the usual one would know other clusters of the same port
        command = [
            self.info["kubectl"],
            "--kubeconfig",
            self.kubeconfig,
            "--cache-dir",
            cache,
            *map(str, args),
        ]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        if check:
            assert done.returncode == 0, f"kubectl {' '.join(map(str, args))}: {done.stderr}"
        return done

    def now(self) -> int:
        """A mark in the audit log, for `calls`."""
        return Path(self.info["auditLog"]).stat().st_size

    def audit(self, since: int, user: str) -> list[Object]:
        """The audit log's entries about a user since the mark."""
        with open(self.info["auditLog"], "rb") as log:
            if since:
                log.seek(since - 1)
                log.readline()  # a mark may have been taken while the API server was in mid-line
            entries = [json.loads(line) for line in log if line.endswith(b"\n") and user.encode() in line]
        return [entry for entry in entries if entry["user"]["username"] == user]

    def calls(self, since: int, user: str = OPERATOR) -> list[Call]:
        """What a user has asked of the API server since the mark, in the order of the answers."""
        return [
            Call(
                entry["verb"],
                "/".join(filter(None, [target.get("resource"), target.get("subresource")]))
                or entry["requestURI"].partition("?")[0],
                target.get("namespace", ""),
                target.get("name", ""),
                entry["responseStatus"]["code"],
                entry["requestURI"].partition("?")[2],
            )
            for entry in self.audit(since, user)
            if entry["stage"] in ("ResponseComplete", "Panic")
            for target in [entry.get("objectRef", {})]
        ]

    @staticmethod
    def _tool(*args: str, **environment: str) -> str:
        done = subprocess.run(
            [LOCAL_CLUSTER, *args],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"local-cluster {' '.join(args)}: {done.stderr}"
        return done.stdout


def binding(kind: str, role: str, user: str, name: str = "") -> Object:
    return {
        "metadata": {"name": name or user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


# ---- the controller ------------------------------------------------------------------------------------


class Controller:
    """The program under test, as a process. Its log is kept over restarts."""

    all: list["Controller"] = []
    DEFAULTS = (
        "--log-format=json",
        "--log-level=debug",
        f"--leader-election-namespace={LEASE_NAMESPACE}",
        "--metrics-bind-address=127.0.0.1:0",
        "--health-probe-bind-address=127.0.0.1:0",
    )
    # Leadership changes hands in seconds.
    QUICK_LEASE = (
        "--leader-election-lease-duration=4s",
        "--leader-election-renew-deadline=3s",
        "--leader-election-retry-period=1s",
    )

    def __init__(self, kubeconfig: Path, log: Path, *args: str):
        given = {arg.partition("=")[0] for arg in args}
        defaults = [flag for flag in self.DEFAULTS if flag.partition("=")[0] not in given]
        self.command = [str(BINARY), "controller", f"--kubeconfig={kubeconfig}", *defaults, *args]
        self.log_file = log
        self.began = 0  # where the log of the present process starts
        self.process: subprocess.Popen[bytes] | None = None
        log.touch()
        Controller.all.append(self)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> "Controller":
        assert not self.running
        assert BINARY.exists(), f"{BINARY} does not exist: build it, or name another one by SESSMTP_BIN"
        self.began = self.log_size()
        self.process = spawn(self.command, self.log_file)
        return self

    def ensure_running(self) -> None:
        if self.process is not None and not self.running:
            status, self.process = self.process.returncode, None
            assert status == 0, f"the controller ended by itself with status {status}\n{self.tail()}"
        if not self.running:
            self.start()

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Its exit status. 0 when it does not run."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"the controller did not end within {seconds} s of {how.name}\n{self.tail()}"
            ) from None

    def restart(self) -> None:
        assert self.stop() == 0
        self.start()

    def log(self, since: int = 0) -> str:
        return self.log_file.read_bytes()[since:].decode(errors="backslashreplace")

    def log_size(self) -> int:
        return self.log_file.stat().st_size

    def complaints(self, since: int = 0, about: str = "") -> list[str]:
        """Log lines of level warning and error, and whatever is no log line at all."""
        lines = [line for line in self.log(since).splitlines() if about in line]
        return [
            line
            for line in lines
            if not line.startswith("{") or json.loads(line)["level"] in ("warning", "error")
        ]

    def wait_logged(
        self, message: str, since: int | None = None, seconds: float = 15, **fields: str
    ) -> Object:
        """The first line with that message and those fields; by default since the process started."""
        since = self.began if since is None else since

        def probe() -> Object | None:
            # The last line may be half written.
            lines = (json.loads(line) for line in self.log(since).split("\n")[:-1] if line.startswith("{"))
            return next(
                (line for line in lines if line["msg"] == message and fields.items() <= line.items()), None
            )

        return wait_for(f"the log says {message!r}", probe, seconds, self.tail)

    def get(self, what: str, path: str) -> tuple[int, str]:
        """Status and body of an answer of its own server for "metrics" or "health"."""
        address = self.wait_logged("serving", what=what)["address"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def health(self, path: str) -> int:
        return self.get("health", path)[0]

    def metrics(self) -> Metrics:
        status, text = self.get("metrics", "/metrics")
        assert status == 200, text
        return Metrics(text)

    def memory(self) -> dict[str, int]:
        """In KiB: VmRSS, what it holds now, and VmHWM, the most it ever held."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return {
            name: int(kib) for name, kib in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", text, re.MULTILINE)
        }

    def tail(self, since: int = 0, count: int = 60) -> str:
        return "\n".join([f"--- {self.log_file}", *self.log(since).splitlines()[-count:]])


def first_complaint(controller: Controller, about: str) -> str:
    found = wait_for(
        f"a log line about {about}",
        lambda: [line for line in controller.complaints() if about in line],
        detail=controller.tail,
    )
    return found[0]


def assert_said_once(lines: list[str]) -> None:
    """However often it was tried, for each thing watched."""
    said = Counter((line["msg"], line.get("path")) for line in map(json.loads, lines))
    twice = "API server does not answer, trying again"  # the lease has a connection of its own
    often = [(what, count) for what, count in said.items() if count > (2 if twice in what else 1)]
    assert often == [], often


def spawn(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """All that it says goes to the log; of the environment it gets what a program needs anywhere."""
    names = ("PATH", "HOME", "TSAN_OPTIONS")
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            env={name: os.environ[name] for name in names if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_us,
        )


def die_with_us() -> None:
    """Linux ends the controller when the test run is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# ---- a namespace ---------------------------------------------------------------------------------------


@dataclass
class World:
    """A namespace of its own. Names have defaults: source Secret "iam", credential and target "mail"."""

    cluster: Cluster
    namespace: str

    def __post_init__(self) -> None:
        self.api = self.cluster.api
        self.began = self.cluster.now()
        self._barriers = itertools.count()

    # -- what users do

    def write_source(self, data: Mapping[str, str | bytes], name: str = "iam", **metadata: Any) -> Object:
        """Creates the Secret, or gives it this data and metadata instead of what it had."""
        body = {
            "metadata": {"name": name} | metadata,
            "data": {key: encode(value) for key, value in data.items()},
        }
        if self.api.get("Secret", name, self.namespace):
            return self.api.replace("Secret", body, self.namespace)
        return self.api.create("Secret", body, self.namespace)

    def create_credential(
        self, name: str = "mail", source: str = "iam", finalizers: Sequence[str] = (), **spec: Any
    ) -> Object:
        source_spec = {"secretName": source} | spec.pop("source_keys", {})
        body = {
            "metadata": {"name": name, "finalizers": list(finalizers)},
            "spec": {"source": source_spec} | spec,
        }
        return self.api.create("SesSmtpCredential", body, self.namespace)

    def change_credential(self, name: str = "mail", **spec: Any) -> Object:
        return self.api.patch("SesSmtpCredential", name, {"spec": spec}, self.namespace)

    def change_secret(self, name: str = "mail", **fields: Any) -> Object:
        return self.api.patch("Secret", name, fields, self.namespace)

    def delete_secret(self, name: str = "mail") -> None:
        self.api.delete("Secret", name, self.namespace)

    def delete_credential(self, name: str = "mail", **options: Any) -> None:
        self.api.delete("SesSmtpCredential", name, self.namespace, **options)

    def create_many(self, keys: Mapping[str, Key]) -> None:
        """For each name a source "NAME-iam" and a credential NAME."""

        def create(name: str) -> None:
            self.write_source(plain(keys[name], region=REGION), f"{name}-iam")
            self.create_credential(name, source=f"{name}-iam")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(create, keys))

    def rotate_many(self, keys: Mapping[str, Key]) -> None:
        """Gives those that `create_many` made other keys, in this order."""

        def rotate(name: str) -> None:
            body = {"data": {field: encode(value) for field, value in plain(keys[name]).items()}}
            self.change_secret(f"{name}-iam", **body)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(rotate, keys))

    def synced(self, key: Key, name: str = "mail", **spec: Any) -> tuple[Object, Object]:
        """A source, a credential and its target, as they are after a while. Region eu-west-1 by the
        source."""
        self.write_source(plain(key, region=REGION))
        self.create_credential(name, **spec)
        return self.wait_synced(name)

    # -- what users see

    def secret(self, name: str = "mail") -> Object | None:
        return self.api.get("Secret", name, self.namespace)

    def credential(self, name: str = "mail") -> Object:
        found = self.api.get("SesSmtpCredential", name, self.namespace)
        assert found is not None, f"SesSmtpCredential {name} does not exist"
        return found

    def conditions(self, name: str = "mail") -> dict[str, Object]:
        return {one["type"]: one for one in self.credential(name)["status"].get("conditions", [])}

    def events(self, name: str = "mail", reason: str = "") -> list[Object]:
        found = self.api.list("Event", self.namespace)
        return [
            e for e in found if e.get("regarding", {}).get("name") == name and reason in ("", e["reason"])
        ]

    def calls(
        self, since: int | None = None, name: str = "", resource: str = "", writes: bool = False
    ) -> list[Call]:
        """The controller's requests in this namespace, without those for barriers."""
        return [
            call
            for call in but_barriers(self.cluster.calls(self.began if since is None else since))
            if call.namespace == self.namespace
            and (not name or call.name == name)
            and (not resource or call.resource == resource)
            and (not writes or call.writes)
        ]

    def all_calls(self, since: int) -> list[Call]:
        """Also those about no namespace at all; not those about another test's, which may be going away."""
        places = ("", self.namespace, LEASE_NAMESPACE)
        return [call for call in but_barriers(self.cluster.calls(since)) if call.namespace in places]

    # -- waiting

    def wait_for(self, what: str, probe: Callable[[], T | None], seconds: float = 15) -> T:
        return wait_for(what, probe, seconds, self.describe)

    def wait_synced(self, name: str = "mail", seconds: float = 15) -> tuple[Object, Object]:
        """The credential and its target once Ready is True for the live spec, source and target."""

        def probe() -> tuple[Object, Object] | None:
            credential = self.credential(name)
            status, generation = credential["status"], credential["metadata"]["generation"]
            ready = condition(credential, "Ready")
            if (
                ready.get("status") != "True"
                or not generation == status["observedGeneration"] == ready["observedGeneration"]
            ):
                return None
            source, target = (
                self.secret(credential["spec"]["source"]["secretName"]),
                self.secret(status["target"]["name"]),
            )
            same = (
                source
                and target
                and status["source"] == version(source)
                and status["target"] | {"merged": True} == named_version(target) | {"merged": True}
            )
            return (credential, target) if same else None

        credential, target = self.wait_for(f"{name} is in sync with its source", probe, seconds)
        assert [one["type"] for one in credential["status"]["conditions"]] == ["Ready"]
        assert condition(credential, "Ready")["reason"] == "Synced"
        return credential, target

    def wait_not_ready(self, reason: str, name: str = "mail", seconds: float = 15) -> Object:
        """The credential once Ready is False for that reason and the live spec."""

        def probe() -> Object | None:
            credential = self.credential(name)
            ready, generation = condition(credential, "Ready"), credential["metadata"]["generation"]
            hit = (ready.get("status"), ready.get("reason")) == ("False", reason)
            return credential if hit and credential["status"]["observedGeneration"] == generation else None

        credential = self.wait_for(f"{name} is not ready because of {reason}", probe, seconds)
        conditions = {one["type"]: one for one in credential["status"]["conditions"]}
        second = "Stalled" if reason in STALLED else "Reconciling"
        assert set(conditions) == {"Ready", second}
        assert conditions[second]["status"] == "True"
        assert conditions["Ready"]["message"]
        if reason in STALLED:
            assert conditions["Stalled"]["reason"] == reason
        return credential

    def wait_event(self, reason: str, name: str = "mail", seconds: float = 15) -> Object:
        event = self.wait_for(
            f"event {reason} on {name}", lambda: next(iter(self.events(name, reason)), None), seconds
        )
        assert event["type"] == ("Normal" if reason in NORMAL else "Warning")
        assert event["regarding"]["kind"] == "SesSmtpCredential"
        assert event["regarding"]["apiVersion"] == "ses-smtp.dev/v1alpha1"
        assert (
            event["action"] and event["reportingController"] and event["reportingInstance"] and event["note"]
        )
        return event

    def wait_all_synced(self, keys: Mapping[str, Key], seconds: float = 30) -> None:
        """Until each target says what follows from its key."""

        def wrong() -> list[str]:
            ours = self.api.list(
                "Secret", self.namespace, labelSelector=f"app.kubernetes.io/managed-by={MANAGER}"
            )
            targets = {one["metadata"]["name"]: data_of(one) for one in ours}
            return [name for name, key in keys.items() if targets.get(name) != target_data(key, REGION)]

        def detail() -> str:
            return f"wrong or missing: {wrong()}\n{self.describe()}"

        wait_for("all targets follow their sources", lambda: not wrong(), seconds, detail)

    def counted_calls(self, since: int, name: str = "") -> Counter[tuple[str, str]]:
        """How often what was asked for; events apart, which are told when there is time."""
        return Counter(call.what for call in self.calls(since, name) if call.resource != "events")

    def settle(self, seconds: float = 15) -> None:
        """Returns when the controller has worked off all that happened before.

        Two credentials, one after the other, go the same way: through both watches, the queue, a worker
        and the event sink.
        """
        for _ in range(2):
            name = f"barrier-{next(self._barriers)}"
            self.write_source(plain(Key.new(), region=REGION), f"{name}-iam")
            self.create_credential(name, source=f"{name}-iam")
            self.wait_synced(name, seconds)
            self.wait_event("Synced", name, seconds)

    def describe(self) -> str:
        """For a failure's message: all of the namespace but the values of Secrets, and the controllers'
        logs."""
        parts = []
        for kind in ("SesSmtpCredential", "Secret"):
            for found in self.api.list(kind, self.namespace):
                found["metadata"].pop("managedFields", None)
                found["data"] = list(found.get("data") or {}) if kind == "Secret" else None
                parts.append(f"--- {kind}\n{yaml.safe_dump(found)}")
        parts.append("--- events")
        parts += [
            f"{e['regarding']['name']}: {e['reason']}: {e['note']}"
            for e in self.api.list("Event", self.namespace)
        ]
        parts += [one.tail() for one in Controller.all if one.running]
        return "\n".join(parts)


# ---- small things --------------------------------------------------------------------------------------


def encode(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def data_of(secret: Object) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}


def version(thing: Object) -> dict[str, str]:
    return {field: thing["metadata"][field] for field in ("uid", "resourceVersion")}


def named_version(thing: Object) -> dict[str, str]:
    return {"name": thing["metadata"]["name"]} | version(thing)


def condition(credential: Object, kind: str) -> Object:
    found = credential.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), {})


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"
