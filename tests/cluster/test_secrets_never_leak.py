"""Values of Secrets stay in Secrets: not in logs, metrics, status, events, the lease, the process's
surroundings or its memory."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from harness import BINARY, REGION, Controller, World, data_of, encode, wait_for
from oracle import EXAMPLE, ISSUED, Key, plain
from process import Server
from refusals import REFUSALS, TEMPORARY

from kube import ApiException

# With characters that each escaping changes.
QUOTED = Key("AKIASENTINEL00QUOTED", 'Sentinel"quoted\\back/slash+plus%percent')


def forms(value: str) -> set[bytes]:
    """The value as it is, and as it looks in YAML's data, a URL and JSON."""
    escaped = json.dumps(value)[1:-1]
    texts = {value, quote(value, safe=""), quote(value), escaped, escaped.replace("/", "\\/")}
    encoded = {base64.b64encode(b"x" * shift + value.encode()).decode() for shift in range(3)}
    # The first and last characters of base64 depend on what stands beside the value.
    return {text.encode() for text in texts | {text[4:-4] for text in encoded}}


def leaks(text: bytes, keys: list[Key]) -> list[str]:
    """What of the keys stands in the text. The id is no secret, but we promise to show it masked only."""
    found = []
    for key in keys:
        named = {"id": key.id[4:], "secret access key": key.secret, "password": key.password(REGION)}
        found += [what for what, value in named.items() if any(form in text for form in forms(value))]
    return found


def use(world: World) -> list[Key]:
    """Every situation in which a value could slip out. Returns the keys."""
    old, new, quoted, bad = Key.new(), Key.new(), QUOTED, []
    world.synced(old)
    world.write_source(plain(new, region=REGION))
    world.wait_event("Rotated")
    _, target = world.wait_synced()
    world.change_secret(data={"password": encode(old.password(REGION)), "username": encode(old.id)})
    world.wait_event("TargetRepaired")
    world.wait_synced()
    world.write_source(plain(quoted, region=REGION), "iam-quoted")
    world.create_credential("quoted", source="iam-quoted")
    assert data_of(world.wait_synced("quoted")[1])["password"] == quoted.password(REGION)
    world.api.create(
        "Secret", {"metadata": {"name": "taken"}, "data": {"password": encode(old.secret)}}, world.namespace
    )
    world.create_credential("taken")
    world.wait_not_ready("TargetConflict", "taken")
    world.write_source(plain(old, region=REGION), "iam-kept")
    every = {
        "format": "ServiceBinding",
        "data": {"all": "$(username) $(password|base64) $(previousPassword|json)"},
    }
    world.create_credential("kept", source="iam-kept", keepPreviousFor="1h", target=every)
    world.wait_synced("kept")
    world.write_source(plain(new, region=REGION), "iam-kept")
    world.wait_event("Rotated", "kept")
    consent = {"ses-smtp.dev/allow-takeover-by": "merged"}
    shared = {"metadata": {"name": "shared", "annotations": consent}, "data": {"theirs": encode(old.secret)}}
    world.api.create("Secret", shared, world.namespace)
    merge = {"name": "shared", "format": "Env", "conflictPolicy": "Merge", "deletionPolicy": "Retain"}
    world.create_credential("merged", source="iam-kept", target=merge)
    world.wait_synced("merged")
    bad_template = {"data": {"file": "$(username):$(password@us-west-2)"}}
    world.create_credential("template", source="iam-kept", target=bad_template)
    world.wait_not_ready("TemplateInvalid", "template")
    for number, refusal in enumerate((TEMPORARY | REFUSALS).values()):
        bad.append(Key.new())
        world.write_source(refusal.data(bad[-1]), f"iam-{number}")
        world.create_credential(f"refused-{number}", source=f"iam-{number}", source_keys=refusal.source)
    for number, refusal in enumerate((TEMPORARY | REFUSALS).values()):
        world.wait_not_ready(refusal.reason, f"refused-{number}")
        world.wait_event(refusal.reason, f"refused-{number}")
    return [old, new, quoted, *bad]


def test_search_finds_what_it_looks_for() -> None:
    for form in ('{"a":"%s"}', "%s", "smtp://%s@host"):
        for value in (EXAMPLE.secret, quote(EXAMPLE.secret, safe=""), EXAMPLE.secret.replace("/", "\\/")):
            assert leaks((form % value).encode(), [EXAMPLE]) == ["secret access key"]
    for prefix in ("", "a", "ab", "abc"):
        text = base64.b64encode((prefix + EXAMPLE.password(REGION) + "tail").encode())
        assert leaks(text, [EXAMPLE]) == ["password"]
    assert leaks(b"AKIA************MPLE", [EXAMPLE]) == []


def test_nothing_but_secrets_holds_a_value(world: World, controller: Controller) -> None:
    log = controller.log_size()
    keys = use(world)
    places = {
        "the log at level debug": controller.log(log).encode(),
        "the audit log": Path(world.cluster.info["auditLog"]).read_bytes()[world.began :],
        "the command line": Path(f"/proc/{controller.pid}/cmdline").read_bytes(),
        "/metrics": controller.metrics().text.encode(),
        "/healthz": controller.get("health", "/healthz")[1].encode(),
        "/readyz": controller.get("health", "/readyz")[1].encode(),
        "the environment": Path(f"/proc/{controller.pid}/environ").read_bytes() if os.geteuid() == 0 else b"",
    }
    for thing in world.api.everything("Secret"):
        where = (
            f"{thing.get('kind', '')} {thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"
        )
        places[where] = json.dumps(thing, ensure_ascii=False).encode()
    assert any(world.namespace in place for place in places) and places["the log at level debug"]
    if leaks(b"\n".join(places.values()), keys):
        assert {where: found for where, text in places.items() if (found := leaks(text, keys))} == {}


@pytest.fixture
def ses(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "ses") as server:
        yield server


@pytest.fixture
def verifier(own_controller: Callable[..., Controller], ses: Server) -> Controller:
    """Which may log in there."""
    endpoints = f"localhost:{ses.starttls_port}"
    return own_controller(f"--smtp-ca-file={ses.ca}", f"--verify-allowed-endpoints={endpoints}")


def use_with_logins(world: World, ses: Server) -> list[Key]:
    """A server that accepts one pair, and repeats others in its replies. Returns the keys."""
    keys = [Key.new() for _ in range(4)]
    good, plain_text, encoded, cut = keys
    ses.accept(good)
    password = encoded.password(REGION)
    pair = base64.b64encode(f"\0{encoded.id}\0{password}".encode()).decode()
    answers = {
        plain_text.id: f"535 no {plain_text.id} with {plain_text.password(REGION)}",
        encoded.id: f"454 {pair}\n {encode(password)} {quote(password, safe='')}",
        cut.id: f"235 {cut.password(REGION)[:30]}\n{cut.password(REGION)[30:]}",
    }
    ses.conduct(logins=answers)
    endpoint = {"host": "localhost", "port": ses.starttls_port}
    for number, key in enumerate(keys):
        world.write_source(plain(key, region=REGION), f"iam-{number}")
        verify = {"mode": "Enforce" if number % 2 == 0 else "Report"}
        world.create_credential(f"mail-{number}", source=f"iam-{number}", endpoint=endpoint, verify=verify)
    for number, reason in enumerate(
        ("Authenticated", "CredentialsInvalid", "TemporaryFailure", "Authenticated")
    ):

        def verified(name: str = f"mail-{number}", reason: str = reason) -> bool:
            return world.conditions(name).get("Verified", {}).get("reason") == reason

        world.wait_for(f"mail-{number} says {reason}", verified)
    world.wait_for("a warning", lambda: world.events("mail-1", "VerifyFailed"), 45)
    return keys


def test_logins_leave_no_value(world: World, verifier: Controller, ses: Server) -> None:
    keys = use_with_logins(world, ses)
    places = {
        "the log at level debug": verifier.log(),
        "/metrics": verifier.metrics().text,
        "the command line": Path(f"/proc/{verifier.pid}/cmdline").read_text(),
        "credentials": json.dumps(world.api.list("SesSmtpCredential", world.namespace), ensure_ascii=False),
        "events": json.dumps(world.api.list("Event", world.namespace), ensure_ascii=False),
    }
    assert "login not accepted" in places["the log at level debug"]
    found = {where: leaks(text.encode(), keys) for where, text in places.items()}
    assert found == dict.fromkeys(places, [])


@pytest.fixture
def talkative_policy(world: World) -> Iterator[Callable[[], None]]:
    """An admission policy that refuses to write a target, and quotes it while it does so."""
    name = {"metadata": {"name": world.namespace}}

    def make() -> None:
        rules = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["secrets"],
        }
        spec = {
            "matchConstraints": {
                "resourceRules": [rules],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            },
            "validations": [
                {
                    "expression": "!has(object.data) || !('password' in object.data)",
                    "messageExpression": "'refused: ' + string(object.data['password'])",
                }
            ],
        }
        world.api.create("ValidatingAdmissionPolicy", name | {"spec": spec})
        bound = {"policyName": world.namespace, "validationActions": ["Deny"]}
        world.api.create("ValidatingAdmissionPolicyBinding", name | {"spec": bound})

    yield make
    for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
        world.api.delete(kind, world.namespace)


def test_a_policy_that_quotes_the_target_is_not_repeated(
    world: World, controller: Controller, talkative_policy: Callable[[], None]
) -> None:
    old, new = Key.new(), Key.new()
    world.synced(old)
    talkative_policy()
    probe = {"metadata": {"name": "probe"}, "data": {"password": encode(new.password(REGION))}}

    def quoted() -> bool:
        try:
            world.api.create("Secret", probe, world.namespace, dryRun="All")
            return False
        except ApiException as error:
            assert leaks(error.body.encode(), [new]) == ["password"]
            return True

    world.wait_for("the policy quotes the password", quoted)
    world.write_source(plain(new, region=REGION))
    denied = world.wait_not_ready("AdmissionDenied")
    texts = [controller.log(), json.dumps(denied), json.dumps(world.events())]
    assert [leaks(text.encode(), [old, new]) for text in texts] == [[], [], []]
    assert "refused: " not in "".join(texts)


# ---- the process ---------------------------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """The controller as an ordinary user, waiting for an API server that is not there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        binary, kubeconfig = shutil.copy(BINARY, folder), folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(UNREACHABLE))
        process = subprocess.Popen(
            [binary, "controller", "--kubeconfig", kubeconfig],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=65534 if os.geteuid() == 0 else None,
        )
        yield process
        process.terminate()
        assert process.wait(10) in (0, -signal.SIGTERM)  # the latter when it had only just been started


UNREACHABLE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {"token": "none"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
}


def test_process_leaves_no_core_dump(process: subprocess.Popen[bytes]) -> None:
    folder = Path(f"/proc/{process.pid}")

    def limited() -> bool:
        return bool(re.search(r"^Max core file size +0 +0 ", (folder / "limits").read_text(), re.MULTILINE))

    wait_for("the limit of core dumps is 0", limited, detail=(folder / "limits").read_text)
    # A core_pattern that pipes ignores the limit, so the process is not dumpable either: then it belongs to
    # root in /proc, whoever runs it.
    wait_for("the process is not dumpable", lambda: (folder / "mem").stat().st_uid == 0)


def memory_of(pid: int) -> Iterator[bytes]:
    """All that the process can write to, region by region."""
    regions = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for span, permissions, *_ in regions:
            if permissions.startswith("rw"):
                begin, end = (int(part, 16) for part in span.split("-"))
                memory.seek(begin)
                try:
                    yield memory.read(end - begin)
                except OSError:
                    continue  # unmapped since


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read another process's memory")
def test_memory_holds_no_value_once_all_is_done(world: World, controller: Controller) -> None:
    key = Key.new()
    world.synced(key)
    world.write_source(plain(key, region=REGION, note="touched"))
    world.wait_event("Synced")
    world.settle()
    try:
        whole = list(memory_of(controller.pid))
    except PermissionError as error:
        pytest.skip(f"the kernel lets nobody read it: {error}")
    assert any(world.namespace.encode() in part for part in whole), "the search works: names are remembered"
    assert values_in(whole, key) == set()


def values_in(memory: list[bytes], key: Key) -> set[str]:
    values = {
        "secret access key": key.secret,
        "password": key.password(REGION),
        "login": f"\0{key.id}\0{key.password(REGION)}",
    }
    return {
        what
        for part in memory
        for what, value in values.items()
        for form in (value.encode(), base64.b64encode(value.encode()))
        if form in part
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read another process's memory")
def test_memory_holds_no_value_after_a_login(world: World, verifier: Controller, ses: Server) -> None:
    key = Key.new()
    ses.accept(key)
    endpoint = {"host": "localhost", "port": ses.starttls_port}
    world.write_source(plain(key, region=REGION))
    world.create_credential(endpoint=endpoint, verify={"mode": "Enforce"})
    world.wait_event("Synced")
    world.settle()
    try:
        whole = list(memory_of(verifier.pid))
    except PermissionError as error:
        pytest.skip(f"the kernel lets nobody read it: {error}")
    assert any(world.namespace.encode() in part for part in whole), "the search works: names are remembered"
    assert values_in(whole, key) == set()


# ---- after everything else -----------------------------------------------------------------------------


@pytest.mark.last
def test_no_test_left_a_value_in_a_log() -> None:
    """All controllers of this run, all keys that tests before this one made."""
    logs = b"\n".join(controller.log_file.read_bytes() for controller in Controller.all)
    assert ISSUED and logs
    secret = {form for key in ISSUED for value in (key.secret, key.password(REGION)) for form in forms(value)}
    # They are thousands: what they begin with is looked up at each place of the logs.
    shortest = min(map(len, secret))
    beginnings = {form[:shortest] for form in secret}
    places = [at for at in range(len(logs)) if logs[at : at + shortest] in beginnings]
    assert [logs[at - 200 : at + 100] for at in places] == []
