"""`ses-smtp render` says beforehand, and without a cluster, exactly what the controller then does."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import BINARY, REGION, World, condition, data_of, encode
from oracle import Key, SourceData, aws_env, plain, target_data

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")

KEY = Key.new()
CONSENT = {"ses-smtp.dev/allow-takeover-by": "mail"}
TEMPLATES = {"sasl_passwd": "[$(host)]:$(port) $(username):$(password)", "price": "$$5", "u": "$(url|base64)"}


def secret(name: str, data: SourceData, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name} | metadata,
        "data": {key: encode(value) for key, value in data.items()},
    }


def credential(name: str = "mail", source: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "metadata": {"name": name},
        "spec": {"source": {"secretName": "iam"} | (source or {})} | spec,
    }


def ini(**fields: str) -> str:
    return "[default]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())


IAM = secret("iam", plain(KEY, region=REGION))
PAIR = {"aws_access_key_id": KEY.id, "aws_secret_access_key": KEY.secret}
ANSWER = {"AccessKey": {"UserName": "mail", "AccessKeyId": KEY.id, "SecretAccessKey": KEY.secret}}

# What stands in Git, and before it in the cluster.
CASES: dict[str, tuple[list[Object], list[Object]]] = {
    "nothing but a source": ([IAM], [credential()]),
    "a region of its own": ([IAM], [credential(region="us-east-1")]),
    "implicit TLS": ([IAM], [credential(endpoint={"port": 465})]),
    "FIPS": ([IAM], [credential(endpoint={"fips": True}, region="us-gov-west-1")]),
    "a VPC endpoint": ([IAM], [credential(endpoint={"host": "smtp.example.com", "port": 2525})]),
    "another name and type": (
        [IAM], [credential(target={"name": "login", "type": "kubernetes.io/basic-auth"})],
    ),
    "more regions": ([IAM], [credential(additionalRegions=["eu-central-1", "us-east-2"])]),
    "labels and annotations": (
        [IAM], [credential(target={"labels": {"team": "shop"}, "annotations": {"example.com/a": "b c"}})],
    ),
    "templates": ([IAM], [credential(target={"data": TEMPLATES})]),
    "a target that stays": ([IAM], [credential(target={"deletionPolicy": "Retain"})]),
    "a pair to keep": ([IAM], [credential(keepPreviousFor="24h")]),
    **{
        f"format {name}": ([IAM], [credential(target={"format": name})])
        for name in ("Default", "BasicAuth", "Env", "ServiceBinding")
    },
    "format None": ([IAM], [credential(target={"format": "None", "data": TEMPLATES})]),
    "preset AwsEnv": (
        [secret("iam", aws_env(KEY, AWS_REGION=REGION))], [credential(source={"preset": "AwsEnv"})],
    ),
    "preset Crossplane": (
        [secret("iam", {"username": KEY.id, "password": KEY.secret})],
        [credential(source={"preset": "Crossplane"}, region=REGION)],
    ),
    "preset Vault": (
        [secret("iam", {"access_key": KEY.id, "secret_key": KEY.secret})],
        [credential(source={"preset": "Vault"}, region=REGION)],
    ),
    "preset IdSecret": (
        [secret("iam", {"id": KEY.id, "secret": KEY.secret})],
        [credential(source={"preset": "IdSecret"}, region=REGION)],
    ),
    "preset AwsCredentialsFile": (
        [secret("iam", {"credentials": ini(**PAIR, region=REGION)})],
        [credential(source={"preset": "AwsCredentialsFile"})],
    ),
    "preset AwsJson": (
        [secret("iam", {"answer": json.dumps(ANSWER)})],
        [credential(source={"preset": "AwsJson"}, region=REGION)],
    ),
    "preset AccessKeysCsv": (
        [secret("iam", {"file": f"Access key ID,Secret access key\r\n{KEY.id},{KEY.secret}\r\n"})],
        [credential(source={"preset": "AccessKeysCsv"}, region=REGION)],
    ),
    "no source": ([], [credential()]),
    "no region": ([secret("iam", plain(KEY))], [credential()]),
    "a temporary key": ([secret("iam", plain(Key("ASIA" + KEY.id[4:], KEY.secret)))], [credential()]),
    "two keys in one source": ([secret("iam", plain(KEY) | aws_env(KEY))], [credential(region=REGION)]),
    "a template of another region": (
        [IAM], [credential(target={"data": {"other": "$(password@ap-south-1)"}})],
    ),
    "a region without endpoint": ([IAM], [credential(region="cn-north-1")]),
    "suspended from the start": ([IAM], [credential(suspend=True)]),
    "a Secret that is not ours": ([IAM, secret("mail", {"theirs": "x"})], [credential()]),
    "no consent": (
        [IAM, secret("mail", {"theirs": "x"})], [credential(target={"conflictPolicy": "Adopt"})],
    ),
    "adoption": (
        [IAM, secret("mail", {"theirs": "x", "host": "old"}, annotations=CONSENT, labels={"team": "shop"})],
        [credential(target={"conflictPolicy": "Adopt"})],
    ),
    "merging": (
        [IAM, secret("mail", {"theirs": "x"}, annotations=CONSENT, labels={"team": "shop"})],
        [credential(target={"conflictPolicy": "Merge", "deletionPolicy": "Retain"})],
    ),
    "nothing to merge into": (
        [IAM], [credential(target={"conflictPolicy": "Merge", "deletionPolicy": "Retain"})],
    ),
}  # fmt: skip


class Rendered:
    """What `ses-smtp render` prints, and its exit status."""

    def __init__(self, folder: Path, objects: Iterable[Object], now: str, *args: str):
        file = folder / "objects.yaml"
        file.write_text(yaml.safe_dump_all(objects))
        done = subprocess.run(
            [BINARY, "render", "--filename", file, "--now", now, *args],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        self.exit_status, self.errors = done.returncode, done.stderr
        self.found = {
            (each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout) if each
        }

    def credential(self, name: str = "mail") -> Object:
        assert ("SesSmtpCredential", name) in self.found, self.errors
        return self.found["SesSmtpCredential", name]

    def secret(self, name: str = "mail") -> Object | None:
        return self.found.get(("Secret", name))


def without_versions(status: Object) -> Object:
    """Only a cluster knows them."""
    kept = {name: value for name, value in status.items() if name != "source"}
    if "target" in kept:
        names = ("uid", "resourceVersion")
        kept["target"] = {name: value for name, value in kept["target"].items() if name not in names}
    return kept


def without_owner(thing: Object) -> Object:
    """Nor this."""
    labels = thing["metadata"].get("labels", {})
    return {name: value for name, value in labels.items() if name != "ses-smtp.dev/owner-uid"}


def assert_is_what_the_cluster_has(
    rendered: Rendered, world: World, owned: bool = False, exit_status: int | None = None
) -> None:
    live = world.credential()
    assert without_versions(rendered.credential()["status"]) == without_versions(live["status"])
    ready = condition(live, "Ready").get("status") == "True"
    usual = 0 if ready or live["spec"].get("suspend") else 1
    assert rendered.exit_status == (usual if exit_status is None else exit_status), rendered.errors
    name = live["spec"].get("target", {}).get("name", "mail")
    target, live_target = rendered.secret(name), world.secret(name) if ready else None
    if live_target is None:
        assert target is None
        return
    assert target is not None, rendered.errors
    assert target["data"] == live_target["data"]
    assert target["type"] == live_target["type"]
    expected = live_target["metadata"]
    assert target["metadata"].get("annotations") == expected.get("annotations")
    if owned:
        assert target["metadata"].get("labels") == expected.get("labels")
        assert target["metadata"].get("ownerReferences") == expected.get("ownerReferences")
    else:
        assert target["metadata"].get("labels", {}) == without_owner(live_target)
        assert "ownerReferences" not in target["metadata"]


def apply(world: World, objects: list[Object]) -> None:
    if not objects:
        return
    world.cluster.kubectl(
        "apply", "--server-side", "--validate=strict", "--namespace", world.namespace, "--filename=-",
        text=yaml.safe_dump_all(objects),
    )  # fmt: skip


def in_namespace(objects: list[Object], world: World) -> list[Object]:
    return [each | {"metadata": {"namespace": world.namespace} | each["metadata"]} for each in objects]


def wait_observed(world: World) -> Object:
    def probe() -> Object | None:
        found = world.credential()
        observed = found["status"]["observedGeneration"] == found["metadata"]["generation"]
        return found if observed and found["status"].get("conditions") else None

    return world.wait_for("mail was looked at", probe)


def time_of(status: Object) -> str:
    return status["conditions"][0]["lastTransitionTime"]


@pytest.mark.parametrize("what", CASES)
def test_files_give_what_the_controller_makes_of_them(world: World, tmp_path: Path, what: str) -> None:
    there, wanted = CASES[what]
    objects = in_namespace(there + wanted, world)
    apply(world, there)
    apply(world, wanted)
    live = wait_observed(world)
    rendered = Rendered(tmp_path, objects, time_of(live["status"]))
    assert_is_what_the_cluster_has(rendered, world)
    assert KEY.secret not in rendered.errors and KEY.password(REGION) not in rendered.errors

    # The same from what the cluster now has, down to the owner.
    found = world.api.list("Secret", world.namespace)
    for each in found:
        each |= {"apiVersion": "v1", "kind": "Secret"}
    live |= {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential"}
    now = time_of(live["status"])
    assert_is_what_the_cluster_has(Rendered(tmp_path, [*found, live], now), world, owned=True)


def test_a_rotation_is_seen_beforehand(world: World, tmp_path: Path) -> None:
    old, new = Key.new(), Key.new()
    apply(world, [secret("iam", plain(old, region=REGION)), credential(keepPreviousFor="1h")])
    before, target = world.wait_synced()
    world.write_source(plain(new, region=REGION))
    after, _ = world.wait_synced()
    source = world.secret("iam")
    assert source is not None
    for each in (source, target):
        each |= {"apiVersion": "v1", "kind": "Secret"}
    before |= {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential"}
    rendered = Rendered(tmp_path, [before, target, source], after["status"]["keySince"])
    assert_is_what_the_cluster_has(rendered, world, owned=True)
    assert "Rotated" in rendered.errors
    assert target_data(new, REGION).items() <= data_of(rendered.secret() or {}).items()


def test_what_is_no_longer_asked_for_is_gone_beforehand(world: World, tmp_path: Path) -> None:
    apply(world, [IAM, credential(additionalRegions=["eu-central-1"], target={"labels": {"team": "shop"}})])
    before, target = world.wait_synced()
    target = world.change_secret(data={"theirs": encode("stays")})
    world.wait_synced(seconds=20)
    wanted = {"target": {"format": "BasicAuth", "deletionPolicy": "Retain", "labels": None}}
    world.change_credential(additionalRegions=None, **wanted)
    after, _ = world.wait_synced()
    source = world.secret("iam")
    assert source is not None
    for each in (source, target):
        each |= {"apiVersion": "v1", "kind": "Secret"}
    changed = {**after, "status": before["status"]}
    changed |= {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential"}
    rendered = Rendered(tmp_path, [changed, target, source], time_of(after["status"]))
    assert_is_what_the_cluster_has(rendered, world, owned=True)
    assert set((rendered.secret() or {})["data"]) == {"username", "password", "theirs"}


def test_several_credentials_see_each_other(world: World, tmp_path: Path) -> None:
    objects = in_namespace([IAM, credential(), credential("second", target={"name": "mail"})], world)
    apply(world, objects[:2])
    first, _ = world.wait_synced()
    apply(world, objects[2:])
    second = world.wait_not_ready("TargetConflict", "second")
    rendered = Rendered(tmp_path, objects, time_of(first["status"]))
    assert_is_what_the_cluster_has(rendered, world, exit_status=1)
    told, said = (condition(each, "Ready")["message"] for each in (rendered.credential("second"), second))
    assert told == said


def test_what_it_prints_is_what_kubectl_takes(world: World, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all([IAM, credential()]))
    for form in ("yaml", "json"):
        done = subprocess.run(
            [BINARY, "render", "-f", file, "--show", "secret", "-o", form],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        world.cluster.kubectl(
            "apply", "--dry-run=server", "--validate=strict", "--namespace", world.namespace, "--filename=-",
            text=done.stdout,
        )  # fmt: skip
