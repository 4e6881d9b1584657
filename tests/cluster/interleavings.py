"""What people and machines may do to credentials, in an order that one seed decides.

Which operation comes next, and on what, depends on nothing but the seed. When it comes, and what the
controllers are about just then, does not; nor do the values of keys.
"""

import contextlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from harness import REGION, Cluster, Controller, World, encode
from oracle import (
    Key,
    SourceData,
    access_keys_csv,
    aws_env,
    create_access_key,
    credentials_file,
    crossplane,
    id_secret,
    plain,
    vault,
)
from proxy import Answer, Proxy
from refusals import REFUSALS, TEMPORARY
from rules import Content, Deeds

from kube import ApiException, Object

SOURCES = [f"source-{number}" for number in range(3)]
CREDENTIALS = [f"mail-{number}" for number in range(5)]  # and their targets
REGIONS = (REGION, "us-east-1", "ap-south-1")
ADDITIONAL = ("eu-central-1", "us-west-2")
SHAPES: dict[str, Callable[[Key], SourceData]] = {
    "Plain": plain,
    "AwsEnv": aws_env,
    "Crossplane": crossplane,
    "Vault": vault,
    "IdSecret": id_secret,
    "AwsCredentialsFile": lambda key: {"credentials": credentials_file(key)},
    "AwsJson": lambda key: {"key.json": create_access_key(key)},
    "AccessKeysCsv": lambda key: {"accessKeys.csv": access_keys_csv(key)},
}
REFUSED = {
    name: refusal
    for name, refusal in {**TEMPORARY, **REFUSALS}.items()
    # Those of preset Auto that no region mends.
    if not refusal.source and refusal.reason not in ("RegionMissing", "RegionInvalid", "EndpointUnknown")
}
TEMPLATES = (
    "$(username):$(password)",
    "smtp://$(username|urlencode):$(password|urlencode)@$(host):$(port)",
    f"$(username) $(password@{ADDITIONAL[0]})",  # refused while the spec does not list that region
)
EDITED = "username", "password", "host", "url", "SMTP_PASSWORD", "text", f"password.{ADDITIONAL[0]}"
LATE_SECONDS = 15.0  # how long a write may be on its way


class Replica:
    """A controller behind a proxy of its own."""

    def __init__(self, name: str, controller: Controller, proxy: Proxy, deeds: Deeds):
        self.name, self.controller, self.proxy, self._deeds = name, controller, proxy, deeds
        self._paused = False

    def start(self) -> None:
        if not self.controller.running:
            self.controller.ensure_running()
            self.controller.wait_logged("starting")  # from then on it takes signals

    def stop(self) -> None:
        self.go_on()
        code = self.controller.stop(seconds=20)
        assert code == 0, f"{self.name} ended with {code} on SIGTERM"

    def kill(self) -> None:
        self._late()
        self.controller.stop(signal.SIGKILL)
        self._paused = False

    def pause(self) -> None:
        if self.controller.running and not self._paused:
            self.controller.process.send_signal(signal.SIGSTOP)
            self._paused = True

    def go_on(self) -> None:
        if self._paused:
            self._late()
            self.controller.process.send_signal(signal.SIGCONT)
            self._paused = False

    def freeze(self) -> None:
        self._late()
        self.proxy.freeze()

    def cut(self) -> None:
        self._late()
        self.proxy.cut()

    def overload(self) -> None:
        """The server is too busy for it."""
        self.proxy.answer(lambda request: Answer(429, ("Retry-After: 1",)))

    def recover(self) -> None:
        self.proxy.thaw()
        self.proxy.pass_all()

    def describe(self) -> str:
        """What it is about."""
        text = self.controller.metrics().text
        wanted = re.compile(
            "workqueue_(depth|unfinished|longest)|.*active_workers|leader_election_master_status"
        )
        return "\n".join([self.name, *filter(wanted.match, text.splitlines())])

    def _late(self) -> None:
        now = time.monotonic()
        self._deeds.late.append((now, now + LATE_SECONDS))


class Chaos:
    """`operations` holds what was done, for people to read."""

    def __init__(self, seed: int, cluster: Cluster, namespaces: Sequence[str], replicas: Sequence[Replica]):
        self.worlds = [World(cluster, name) for name in namespaces]
        self.deeds, self.operations = Deeds(), []
        self._random, self.replicas, self._api = Random(seed), replicas, cluster.api
        self._edits, self._began = 0, time.monotonic()
        self._last: dict[tuple[str, str], list[tuple[SourceData, Content]]] = {}

    def set_up(self) -> None:
        for world in self.worlds:
            for name in SOURCES:
                self._rotate(world, name)
            for name in CREDENTIALS:
                self._create(world, name)

    def run(self, seconds: float) -> None:
        kinds: list[tuple[int, Callable[[], str]]] = [
            (24, self.rotate),
            (5, self.spoil),
            (4, self.set_back),
            (4, self.delete_source),
            (10, self.edit),
            (6, self.remove_key),
            (6, self.add_foreign_key),
            (6, self.delete_target),
            (5, self.unlabel),
            (2, self.replace_by_foreign),
            (6, self.create),
            (4, self.delete_credential),
            (16, self.change_spec),
            (1, self.stop),
            (1, self.kill),
            (8, self.start),
            (1, self.pause),
            (6, self.go_on),
            (1, self.freeze),
            (2, self.cut),
            (1, self.overload),
            (8, self.recover),
        ]
        weights, deeds = zip(*kinds, strict=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            [deed] = self._random.choices(deeds, weights)
            pause = self._random.choice((0, 0, 0.01, 0.05, 0.2))
            self._note(deed())
            time.sleep(pause)

    def calm(self) -> None:
        """Nobody hinders the controllers any more."""
        for replica in self.replicas:
            replica.recover()
            replica.go_on()
            replica.start()
        self._note("calm")

    def _note(self, what: str) -> None:
        self.operations.append(f"{time.monotonic() - self._began:7.2f} s  {what}")

    # -- sources

    def rotate(self) -> str:
        world, name = self._place(SOURCES)
        return f"{world.namespace}: rotate {name}, {self._rotate(world, name)}"

    def rotate_all(self) -> None:
        for world in self.worlds:
            for name in SOURCES:
                self._rotate(world, name, REGION)

    def _rotate(self, world: World, name: str, region: str = "") -> str:
        shape = self._random.choice(list(SHAPES))
        region = region or self._random.choice(("", *REGIONS))
        key = Key.new()
        data = SHAPES[shape](key) | ({"region": region} if region else {})
        if shape == "AccessKeysCsv":
            region = ""  # it has no column for it
            data.pop("region", None)
        elif shape in ("AwsCredentialsFile", "AwsJson"):
            field = {"region": region} if shape == "AwsCredentialsFile" else {"Region": region}
            make = credentials_file if shape == "AwsCredentialsFile" else create_access_key
            data = {
                "credentials" if shape == "AwsCredentialsFile" else "key.json": make(
                    key, **(field if region else {})
                )
            }
        self._write(world, name, data, Content(key, region))
        return f"{shape} {region}"

    def spoil(self) -> str:
        world, name = self._place(SOURCES)
        what = self._random.choice(list(REFUSED))
        key = Key.new()
        self._write(world, name, REFUSED[what].data(key), Content(key, REGION, REFUSED[what].reason))
        return f"{world.namespace}: spoil {name}, {what}"

    def set_back(self) -> str:
        """To what it held before."""
        world, name = self._place(SOURCES)
        written = self._last.get((world.namespace, name), [])
        if len(written) > 1:
            self._write(world, name, *written[-2])
        return f"{world.namespace}: set {name} back"

    def delete_source(self) -> str:
        world, name = self._place(SOURCES)
        self._delete(world, name)
        return f"{world.namespace}: delete {name}"

    def _write(self, world: World, name: str, data: SourceData, content: Content) -> None:
        written = world.write_source(data, name)
        self.deeds.sources[int(written["metadata"]["resourceVersion"])] = content
        self._last.setdefault((world.namespace, name), []).append((data, content))

    # -- targets

    def edit(self) -> str:
        """A key that may be ours."""
        world, name = self._place(CREDENTIALS)
        key = self._random.choice(EDITED)
        self._edit(world, name, key)
        return f"{world.namespace}: edit {key} of {name}"

    def edit_all(self) -> None:
        for world in self.worlds:
            for name in CREDENTIALS:
                self._edit(world, name, "password")

    def add_foreign_key(self) -> str:
        world, name = self._place(CREDENTIALS)
        key = f"foreign-{self._random.randrange(3)}"
        self._edit(world, name, key)
        return f"{world.namespace}: write {key} into {name}"

    def _edit(self, world: World, name: str, key: str) -> None:
        value = f"by hand, {self._edits}"
        self.deeds.values[world.namespace, name].add((key, value))
        self._patch(world, name, data={key: encode(value)})

    def remove_key(self) -> str:
        world, name = self._place(CREDENTIALS)
        key = self._random.choice(EDITED)
        self._patch(world, name, data={key: None})
        return f"{world.namespace}: remove {key} from {name}"

    def unlabel(self) -> str:
        world, name = self._place(CREDENTIALS)
        orphan = self._random.random() < 0.3
        more = {"ownerReferences": None} if orphan else {}
        self._patch(world, name, metadata={"labels": None} | more)
        return f"{world.namespace}: remove labels {'and owner reference ' if orphan else ''}of {name}"

    def _patch(self, world: World, name: str, **fields: Object) -> None:
        """It always changes something: else the answer would name a version that another has written."""
        self._edits += 1
        metadata = fields.setdefault("metadata", {})
        metadata["annotations"] = {"example.com/edited": str(self._edits)}
        with unless(404):
            written = world.change_secret(name, **fields)
            self.deeds.writes.add(int(written["metadata"]["resourceVersion"]))

    def delete_target(self) -> str:
        world, name = self._place(CREDENTIALS)
        self._delete(world, name)
        return f"{world.namespace}: delete {name}"

    def replace_by_foreign(self) -> str:
        """Whoever is first after the deletion has the name."""
        world, name = self._place(CREDENTIALS)
        self._delete(world, name)
        with unless(409):
            body = {"metadata": {"name": name}, "stringData": {"password": "of somebody else"}}
            written = world.api.create("Secret", body, world.namespace)["metadata"]
            self.deeds.foreign.add(written["uid"])
            self.deeds.writes.add(int(written["resourceVersion"]))
        return f"{world.namespace}: a Secret of somebody else for {name}"

    def _delete(self, world: World, name: str) -> None:
        secret = world.secret(name)
        if secret is None:
            return
        uid = secret["metadata"]["uid"]
        self.deeds.deleted.add(uid)
        with unless(409):  # it is another by now
            world.api.delete("Secret", name, world.namespace, preconditions={"uid": uid})

    # -- credentials

    def create(self) -> str:
        world, name = self._place(CREDENTIALS)
        return f"{world.namespace}: create {name}: {self._create(world, name)}"

    def _create(self, world: World, name: str) -> Object:
        target: Object = {}
        spec: Object = {"region": self._random.choice(REGIONS), "target": target}
        source = self._random.choice(SOURCES)
        with unless(409):
            world.create_credential(name, source, **spec)
        return spec | {"source": source}

    def delete_credential(self) -> str:
        world, name = self._place(CREDENTIALS)
        world.delete_credential(name)
        return f"{world.namespace}: delete credential {name}"

    def change_spec(self) -> str:
        world, name = self._place(CREDENTIALS)
        what, change = self._random.choice(
            [
                ("region", {"region": self._random.choice((None, *REGIONS))}),
                ("regions", {"additionalRegions": self._random.choice((None, ADDITIONAL, ADDITIONAL[:1]))}),
                (
                    "format",
                    {"target": {"format": self._random.choice((None, "BasicAuth", "Env", "ServiceBinding"))}},
                ),
                (
                    "templates",
                    {"target": {"data": self._random.choice((None, *({"text": t} for t in TEMPLATES)))}},
                ),
                ("keepPreviousFor", {"keepPreviousFor": self._random.choice((None, "1m", "2h"))}),
                ("suspend", {"suspend": self._random.choice((None, None, True))}),
            ]
        )
        with unless(404, 422):  # a format and keepPreviousFor may not go together
            world.change_credential(name, **change)
        return f"{world.namespace}: change {name}: {what} {change}"

    def resume_all(self) -> None:
        for world in self.worlds:
            for name in CREDENTIALS:
                with unless(404):
                    world.change_credential(name, suspend=None)

    # -- controllers

    def stop(self) -> str:
        return self._to_replica("stop")

    def kill(self) -> str:
        return self._to_replica("kill")

    def start(self) -> str:
        return self._to_replica("start")

    def pause(self) -> str:
        return self._to_replica("pause")

    def go_on(self) -> str:
        return self._to_replica("go_on")

    def freeze(self) -> str:
        return self._to_replica("freeze")

    def cut(self) -> str:
        return self._to_replica("cut")

    def overload(self) -> str:
        return self._to_replica("overload")

    def recover(self) -> str:
        return self._to_replica("recover")

    def _to_replica(self, what: str) -> str:
        replica = self._random.choice(self.replicas)
        getattr(replica, what)()
        return f"{replica.name}: {what}"

    def _place(self, names: Sequence[str]) -> tuple[World, str]:
        return self._random.choice(self.worlds), self._random.choice(names)


@contextlib.contextmanager
def unless(*codes: int) -> Iterator[None]:
    """What cannot be done just then is left."""
    try:
        yield
    except ApiException as error:
        if error.status not in codes:
            raise
