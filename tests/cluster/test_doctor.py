"""`ses-smtp doctor`: the first thing that is wrong, as a person with some rights is told of it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import LEASE, LEASE_NAMESPACE, REGION, Controller, World, encode
from oracle import Key, plain
from people import (
    ALL,
    LEASES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    VIEW,
    Person,
    admin,
    env,
    files,
    person,
    run_pod,
    workload,
)
from process import Server
from test_secrets_never_leak import leaks

STEPS = ["credential", "operator", "source", "values", "region", "derivation", "target", "status", "pods",
         "login"]  # fmt: skip


def before(seconds: int) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def results(user: Person, *args: str) -> dict[str, str]:
    return {step: one["result"] for step, one in user.steps(*args).items()}


def the_wrong_one(user: Person, step: str, *args: str) -> dict:
    """That step is the first that is wrong, and says what to do."""
    ran = user.doctor("mail", "-o", "json", *args)
    assert ran.code == 1 and ran.json["result"] == "wrong" and ran.json["firstWrong"] == step, ran.out
    found = next(one for one in ran.json["steps"] if one["result"] == "wrong")
    assert found["fix"]
    return found


@pytest.fixture
def user(world: World, tmp_path: Path) -> Person:
    return person(world, tmp_path, *ALL)


def rotated(world: World) -> None:
    world.write_source(plain(Key.new(), region=REGION))
    world.wait_event("Rotated")
    world.wait_synced()


def test_nothing_is_wrong(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    ran = user.doctor("mail")
    assert (ran.code, ran.err) == (0, "")
    said = [line.split()[:2] for line in ran.out.splitlines()[2:-2]]
    assert said == [["ok", step] for step in STEPS[:-1]] + [["skipped", "login"]]
    assert ran.out.endswith("\nNothing is wrong.\n")


def test_needs_no_more_rights_than_it_says(world: World, controller: Controller, user: Person) -> None:
    """No request is refused, of a user who has just those."""
    world.synced(Key.new())
    since = world.cluster.now()
    assert user.doctor("mail").code == 0
    calls = world.cluster.calls(since, f"person-of-{world.namespace}")
    assert calls and {call.code for call in calls} == {200}
    assert {call.verb for call in calls} == {"get", "list"}


# ---- the credential and the operator ---------------------------------------------------------------------


def test_name_that_is_nearly_right(world: World, no_controller: None) -> None:
    world.create_credential("shop-mail")
    ran = admin(world.cluster, world.namespace).doctor("shop-mial", "-o", "json")
    assert ran.code == 1 and ran.json["firstWrong"] == "credential"
    assert ran.json["steps"][0]["details"] == ["there is shop-mail"]


def test_being_deleted(world: World, controller: Controller, user: Person) -> None:
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential(finalizers=["tests.dev/keep"])
    world.wait_synced()
    world.delete_credential()
    found = the_wrong_one(user, "credential")
    assert "finalizers" in found["command"]
    world.api.patch("SesSmtpCredential", "mail", {"metadata": {"finalizers": None}}, world.namespace)


def test_suspended_and_in_order(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    world.change_credential(suspend=True)
    world.wait_for("it is suspended", lambda: "Suspended" in world.conditions())
    assert user.doctor("mail").code == 0
    assert "suspended" in user.steps("mail")["credential"]["message"]


def test_suspended_while_the_source_changed(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    world.change_credential(suspend=True)
    world.wait_for("it is suspended", lambda: "Suspended" in world.conditions())
    world.write_source(plain(Key.new(), region=REGION))
    found = the_wrong_one(user, "target")
    assert "password" in found["message"] and "suspended" in found["message"]
    world.cluster.kubectl(*found["command"].replace("'", "").split()[1:])
    world.wait_event("Rotated")
    world.wait_synced()
    assert user.doctor("mail").code == 0


def test_operator_that_has_just_not_looked_yet(world: World, no_controller: None, user: Person) -> None:
    world.create_credential()
    assert user.steps("mail")["operator"]["result"] == "unknown"


def test_operator_that_does_not_run(world: World, controller: Controller, tmp_path: Path) -> None:
    """The source was rotated, and nobody came. The Lease says that nobody would."""
    world.synced(Key.new())
    assert controller.stop() == 0
    world.write_source(plain(Key.new(), region=REGION))
    user = person(world, tmp_path, *ALL, LEASES, cluster_wide=True)
    found = the_wrong_one(user, "target")
    assert "if it runs" in found["message"]
    assert found["details"] == [f"nobody holds its Lease {LEASE_NAMESPACE}/{LEASE}: it does not run"]
    assert "app.kubernetes.io/name=ses-smtp-operator" in found["command"]


# ---- the source ------------------------------------------------------------------------------------------


def test_source_that_is_not_there(world: World, controller: Controller, user: Person) -> None:
    world.create_credential()
    world.wait_not_ready("SourceNotFound")
    found = the_wrong_one(user, "source")
    assert found["message"].startswith("SourceNotFound: ")
    assert "kubectl create secret generic iam --from-file=" in found["command"]
    assert found["command"].endswith(f"--namespace {world.namespace}")
    assert [results(user, "mail")[step] for step in STEPS[3:7]] == ["skipped"] * 4


def test_source_that_may_not_be_read(world: World, controller: Controller, tmp_path: Path) -> None:
    world.synced(Key.new())
    user = person(world, tmp_path, VIEW, PODS)
    ran = user.doctor("mail", "-o", "json")
    steps = {one["step"]: one for one in ran.json["steps"]}
    assert ran.code == 1 and (ran.json["result"], ran.json["firstWrong"]) == ("unknown", None)
    assert steps["source"]["result"] == "unknown"
    assert steps["source"]["details"] == [f"kubectl auth can-i get secrets/iam --namespace {world.namespace}"]
    assert [steps[step]["result"] for step in STEPS[3:]] == ["skipped"] * 4 + ["ok", "ok", "skipped"]


def test_reason_of_a_source_that_may_not_be_read_is_in_status(
    world: World, controller: Controller, tmp_path: Path
) -> None:
    world.create_credential()
    world.wait_not_ready("SourceNotFound")
    found = the_wrong_one(person(world, tmp_path, VIEW, PODS), "status")
    assert "SourceNotFound" in found["message"] and "create secret generic iam" in found["command"]


def test_values_of_no_key(world: World, controller: Controller, user: Person) -> None:
    key = Key.new()
    world.write_source({"accessKeyId": key.id, "secretAccessKey": key.password(REGION), "region": REGION})
    world.create_credential()
    world.wait_not_ready("AlreadyDerivedPassword")
    found = the_wrong_one(user, "values")
    assert found["message"].startswith("AlreadyDerivedPassword: ")
    assert found["message"].partition(": ")[2] == world.conditions()["Ready"]["message"]


def test_region_that_nobody_names(world: World, controller: Controller, user: Person) -> None:
    world.write_source(plain(Key.new()))
    world.create_credential()
    world.wait_not_ready("RegionMissing")
    found = the_wrong_one(user, "region")
    world.cluster.kubectl(*found["command"].replace("'", "").split()[1:])
    world.wait_synced()
    assert user.doctor("mail").code == 0


def test_template_that_cannot_be_filled_in(world: World, controller: Controller, user: Person) -> None:
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential(target={"data": {"file": "$(password@us-west-2)"}})
    world.wait_not_ready("TemplateInvalid")
    assert "kubectl edit sesc mail" in the_wrong_one(user, "derivation")["command"]


# ---- the target ------------------------------------------------------------------------------------------


def test_secret_of_others(world: World, controller: Controller, user: Person) -> None:
    world.write_source(plain(Key.new(), region=REGION))
    world.api.create("Secret", {"metadata": {"name": "mail"}}, world.namespace)
    world.create_credential(target={"conflictPolicy": "Adopt"})
    world.wait_not_ready("TargetConflict")
    found = the_wrong_one(user, "target")
    assert found["message"].startswith("TargetConflict: ")
    world.cluster.kubectl(*found["command"].split()[1:])
    world.wait_synced()
    assert user.doctor("mail").code == 0


def test_target_that_another_credential_has(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new(), "first", target={"name": "shared"})
    world.create_credential(target={"name": "shared"})
    world.wait_not_ready("TargetConflict")
    assert "first" in the_wrong_one(user, "target")["message"]


def test_edited_target_names_its_keys(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    assert controller.stop() == 0
    world.change_secret(data={"host": encode("elsewhere.example"), "note": encode("of others")})
    found = the_wrong_one(user, "target")
    assert "the values of host differs" in found["message"]


def test_target_that_may_not_be_read(world: World, controller: Controller, tmp_path: Path) -> None:
    world.synced(Key.new())
    user = person(world, tmp_path, VIEW, PODS, SECRETS | {"resourceNames": ["iam"]})
    assert results(user, "mail")["derivation"] == "ok"
    target = user.steps("mail")["target"]
    assert target["result"] == "unknown" and "can-i get secrets/mail" in target["details"][0]


# ---- pods ------------------------------------------------------------------------------------------------


def test_pods_that_hold_the_pair_from_before(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    deployment = workload(world, "Deployment", "web")
    replica_set = workload(world, "ReplicaSet", "web-5d9f", deployment)
    for number in range(3):
        run_pod(world, f"web-{number}", env(), before(60), replica_set)
    daemons = workload(world, "DaemonSet", "relay")
    run_pod(world, "relay-0", files(subPath="password"), before(60), daemons)
    stateful = workload(world, "StatefulSet", "app")
    # Not named as those that its controller numbers, and would delete.
    run_pod(world, "app-zero", files(), before(60), stateful)
    assert user.doctor("mail").code == 0  # there was no rotation
    rotated(world)
    found = the_wrong_one(user, "pods")
    when = world.credential()["status"]["lastRotationTime"]
    assert found["message"] == f"4 pods of 5 still have the login from before the rotation of {when}"
    assert found["details"] == [
        "daemonset/relay: 1 pod, subPath in container app",
        "deployment/web: 3 pods, env in container app",
    ]
    assert found["fix"].startswith("do not revoke the old key yet")
    assert found["command"] == (
        f"kubectl rollout restart daemonset/relay deployment/web --namespace {world.namespace}"
    )


def test_pods_that_started_since_have_the_new_pair(
    world: World, controller: Controller, user: Person
) -> None:
    world.synced(Key.new())
    rotated(world)
    run_pod(world, "new", env(), before(-5))
    assert results(user, "mail")["pods"] == "ok"


def test_files_follow_by_themselves(world: World, controller: Controller, user: Person) -> None:
    world.synced(Key.new())
    run_pod(world, "app", files(), before(60))
    rotated(world)
    pods = user.steps("mail")["pods"]
    assert pods["result"] == "ok"
    assert pods["details"][0] == "pod/app: files in container app"
    assert "follow within about a minute" in pods["details"][1] and "at its start" in pods["details"][1]


def test_pod_that_asks_for_a_key_that_is_not_there(
    world: World, controller: Controller, user: Person
) -> None:
    world.synced(Key.new())
    run_pod(world, "app", env(key="smtp-password"), before(60))
    found = the_wrong_one(user, "pods")
    assert 'Secret "mail" has no key smtp-password' in found["message"]


def test_deployment_is_named_without_the_right_on_replica_sets(
    world: World, controller: Controller, tmp_path: Path
) -> None:
    world.synced(Key.new())
    replica_set = workload(world, "ReplicaSet", "web-5d9f")
    run_pod(world, "web-0", env(), before(60), replica_set)
    world.api.patch("Pod", "web-0", {"metadata": {"labels": {"pod-template-hash": "5d9f"}}}, world.namespace)
    user = person(world, tmp_path, VIEW, SECRETS, PODS)
    assert user.steps("mail")["pods"]["details"] == ["deployment/web: 1 pod, env in container app"]


def test_pods_that_may_not_be_listed(world: World, controller: Controller, tmp_path: Path) -> None:
    world.synced(Key.new())
    user = person(world, tmp_path, VIEW, SECRETS, REPLICA_SETS)
    pods = user.steps("mail")["pods"]
    assert pods["result"] == "unknown"
    assert pods["details"] == [f"kubectl auth can-i list pods --namespace {world.namespace}"]
    assert results(user, "mail")["target"] == "ok"


def test_restarts_that_fail_are_named(world: World, no_controller: None, user: Person) -> None:
    web = {"kind": "Deployment", "name": "web"}
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential(rolloutRestartTargets=[web])
    status = {"observedGeneration": 1, "rollouts": [web | {"reason": "TargetNotReferenced"}]}
    world.api.patch("SesSmtpCredential", "mail", {"status": status}, world.namespace, sub="status")
    restarts = user.steps("mail")["restarts"]
    assert restarts["result"] == "wrong"
    assert restarts["details"] == ['Deployment "web": TargetNotReferenced']
    assert restarts["fix"].startswith('Deployment "web": its pod template does not refer to the target')


# ---- the login -------------------------------------------------------------------------------------------


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "ses") as server:
        yield server


LogIn = Callable[..., dict]


@pytest.fixture
def log_in(world: World, controller: Controller, user: Person, mail_server: Server) -> LogIn:
    """The step "login" of a credential whose mail server is the fake one."""

    def step(key: Key, *args: str) -> dict:
        port = mail_server.starttls_port
        world.synced(key, endpoint={"host": "localhost", "port": port, "tls": "StartTls"})
        allowed = args or (f"--verify-allowed-endpoints=localhost:{port}",)
        return user.steps("mail", "--login", f"--smtp-ca-file={mail_server.ca}", *allowed)["login"]

    return step


def test_login_that_works(mail_server: Server, log_in: LogIn) -> None:
    key = Key.new()
    mail_server.accept(key)
    login = log_in(key)
    assert login["result"] == "ok" and login["message"].startswith("Authenticated at localhost:")
    assert len(mail_server.logins()) == 1


def test_login_that_is_refused(mail_server: Server, log_in: LogIn) -> None:
    login = log_in(Key.new())
    assert login["result"] == "wrong" and login["message"].startswith("CredentialsInvalid at localhost:")
    assert "535" in login["message"] and login["fix"]


def test_login_elsewhere_is_not_tried(mail_server: Server, log_in: LogIn) -> None:
    login = log_in(Key.new(), "--verify-allowed-endpoints=localhost:1")
    assert login["result"] == "unknown" and login["message"].startswith("EndpointNotAllowed")
    assert mail_server.connections() == []


# ---- what it never says ----------------------------------------------------------------------------------


def test_doctor_holds_no_value(
    world: World, controller: Controller, user: Person, mail_server: Server
) -> None:
    old, new = Key.new(), Key.new()
    server = f"--verify-allowed-endpoints=localhost:{mail_server.starttls_port}"
    world.synced(old, endpoint={"host": "localhost", "port": mail_server.starttls_port, "tls": "StartTls"})
    run_pod(world, "app", env(), before(60))
    said = []

    def look() -> None:
        for args in (["mail"], ["mail", "-o", "json"], ["mail", "--login", server], ["other"], ["mail", "x"]):
            ran = user.doctor(*args)
            said.append([ran.out, ran.err])

    look()
    world.write_source(plain(new, region=REGION))
    world.wait_event("Rotated")
    world.wait_synced()
    look()
    assert controller.stop() == 0
    world.change_secret(data={"password": encode(old.secret), "username": encode(old.secret)})
    look()
    world.write_source({"accessKeyId": new.secret, "secretAccessKey": new.id, "region": old.secret})
    look()
    world.write_source({"accessKeyId": new.id, "secretAccessKey": new.password(REGION)})
    look()
    assert leaks(json.dumps(said).encode(), [old, new]) == []
