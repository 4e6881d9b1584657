"""`ses-smtp status`: what a person sees of credentials, with the right to read them and no other."""

import json
from pathlib import Path

import yaml
from harness import REGION, ROOT, Controller, World, wait_for
from oracle import Key, plain
from people import VIEW, Person, admin, person
from test_secrets_never_leak import leaks


def lines(text: str) -> dict[str, list[str]]:
    """The rows of a table by their first word, each with what stands below it."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith(" "):
            rows[list(rows)[-1]].append(line.strip())
        else:
            rows[line.split()[0]] = [line]
    return rows


def mixed(world: World) -> None:
    """One that is ready and rotated, one without a source, one that is suspended."""
    world.synced(Key.new())
    world.write_source(plain(Key.new(), region=REGION))
    world.wait_event("Rotated")
    world.wait_synced()
    world.create_credential("lost", source="nowhere")
    world.wait_not_ready("SourceNotFound", "lost")
    world.create_credential("paused", suspend=True)
    world.wait_for("it is suspended", lambda: "Suspended" in world.conditions("paused"))


def test_table_with_what_to_do(world: World, controller: Controller, tmp_path: Path) -> None:
    mixed(world)
    ran = person(world, tmp_path, VIEW).status()
    assert (ran.code, ran.err) == (1, "")
    rows = lines(ran.out)
    assert rows["NAME"][0].split() == ["NAME", "READY", "REASON", "REGION", "SECRET", "KEY", "ROTATED", "AGE"]
    id = world.credential()["status"]["accessKeyId"]
    assert rows["mail"][0].split()[:6] == ["mail", "True", "Synced", REGION, "mail", f"AKIA*{id[-4:]}"]
    assert rows["mail"][0].split()[6].endswith("s") and len(rows["mail"]) == 1
    assert rows["lost"][0].split()[:3] == ["lost", "False", "SourceNotFound"]
    assert rows["lost"][1:] == ['Secret "nowhere" not found; waiting for it to appear']
    assert rows["paused"][0].split()[:3] == ["paused", "Unknown", "Suspended"] and len(rows["paused"]) == 1


def test_exit_status(world: World, controller: Controller, tmp_path: Path) -> None:
    mixed(world)
    user = person(world, tmp_path, VIEW)
    assert [user.status(name).code for name in ("mail", "paused", "lost")] == [0, 0, 1]


def test_spec_that_nobody_has_looked_at_is_not_ready(world: World, controller: Controller) -> None:
    world.synced(Key.new())
    assert controller.stop() == 0
    world.change_credential(region="us-east-1")
    ran = admin(world.cluster, world.namespace).status()
    assert ran.code == 1
    assert "has not looked at the present spec yet" in lines(ran.out)["mail"][1]
    assert "kubectl get pods" in ran.out


def test_json_has_the_fields_of_the_documentation(world: World, controller: Controller) -> None:
    mixed(world)
    user = admin(world.cluster, world.namespace)
    ran = user.status("--output", "json")
    assert ran.code == 1
    page = (ROOT / "docs/command-line.md").read_text()
    for one in ran.json:
        assert [field for field in one if f"`{field}`" not in page] == []
    lost, mail, paused = ran.json
    status = world.credential()["status"]
    assert mail == mail | {
        "namespace": world.namespace,
        "name": "mail",
        "ready": True,
        "suspended": False,
        "deleting": False,
        "current": True,
        "reason": "Synced",
        "region": REGION,
        "secret": "mail",
        "accessKeyId": status["accessKeyId"],
        "verified": None,
        "rotatedAt": status["lastRotationTime"],
        "createdAt": world.credential()["metadata"]["creationTimestamp"],
    }
    assert (lost["ready"], lost["secret"], lost["rotatedAt"]) == (False, None, None)
    assert (paused["ready"], paused["suspended"]) == (False, True)


def test_all_namespaces(worlds: object, controller: Controller, tmp_path: Path) -> None:
    one, other = next(worlds), next(worlds)
    for world in (one, other):
        world.synced(Key.new())
    user = person(one, tmp_path, VIEW, cluster_wide=True)
    ran = user.run("status", "--all-namespaces")
    assert ran.out.splitlines()[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert {one.namespace, other.namespace} <= {line.split()[0] for line in ran.out.splitlines()}


def test_login_has_a_column_when_there_is_one(world: World, no_controller: None) -> None:
    user = admin(world.cluster, world.namespace)
    world.create_credential()
    assert "VERIFIED" not in user.status().out
    conditions = [
        {"type": "Ready", "status": "True", "reason": "Synced", "message": "in order"},
        {"type": "Verified", "status": "False", "reason": "CredentialsInvalid", "message": "535; see why"},
    ]
    for one in conditions:
        one["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = {"observedGeneration": 1, "conditions": conditions}
    world.api.patch("SesSmtpCredential", "mail", {"status": status}, world.namespace, sub="status")
    rows = lines(user.status().out)
    assert rows["NAME"][0].split()[6] == "VERIFIED"
    assert rows["mail"][0].split()[3:][-3] == "CredentialsInvalid"
    assert rows["mail"][1:] == ["login: 535; see why"]


def test_nothing_there_is_said(world: World, tmp_path: Path) -> None:
    user = person(world, tmp_path, VIEW)
    ran = user.status()
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == (
        f"There is no SesSmtpCredential in namespace {world.namespace}; --all-namespaces looks everywhere.\n"
    )
    assert user.status("-o", "json").json == []


def test_name_that_is_nearly_right(world: World, no_controller: None) -> None:
    world.create_credential("shop-mail")
    ran = admin(world.cluster, world.namespace).status("shop-mial")
    assert (ran.code, ran.out) == (1, "")
    assert "there is shop-mail" in ran.err and f"ses-smtp status --namespace {world.namespace}" in ran.err


def test_name_of_another_namespace(worlds: object, no_controller: None) -> None:
    here, there = next(worlds), next(worlds)
    there.create_credential("only-there")
    ran = admin(here.cluster, here.namespace).status("only-there")
    assert f"add --namespace {there.namespace}" in ran.err


def test_namespace_of_the_context_is_the_default(world: World, no_controller: None, tmp_path: Path) -> None:
    world.create_credential()
    config = yaml.safe_load(world.cluster.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = world.namespace
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    ran = Person(path, "").run("status", "-o", "json")
    assert [one["name"] for one in ran.json] == ["mail"]


def test_without_the_right(world: World, tmp_path: Path) -> None:
    ran = person(world, tmp_path).status()
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be listed: you may not do that" in ran.err
    assert f"kubectl auth can-i list sessmtpcredentials.ses-smtp.dev --namespace {world.namespace}" in ran.err


def test_without_the_crd(spare_world: World) -> None:
    spare_world.cluster.remove_crd()
    user = admin(spare_world.cluster, spare_world.namespace)

    def gone() -> str:
        ran = user.status()
        return ran.err if ran.code == 1 else ""

    error = wait_for("the resource is gone", gone)
    assert "this cluster does not know SesSmtpCredentials" in error


def test_server_that_is_not_there(tmp_path: Path, world: World) -> None:
    path = tmp_path / "kubeconfig"
    config = yaml.safe_load(world.cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path.write_text(yaml.safe_dump(config))
    ran = Person(path, "x").status()
    assert ran.code == 1
    error, why, fix = ran.err.splitlines()
    assert error.startswith("error: ") and "https://127.0.0.1:1" in error and "does not answer" in error
    assert why.startswith("  why: ") and fix.startswith("  fix: ")


def test_kubeconfig_that_cannot_work(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("contexts: []\n")
    ran = Person(path, "x").status()
    assert ran.code == 2 and str(path) in ran.err


def test_colours_only_where_they_are_wanted(world: World, no_controller: None) -> None:
    world.create_credential()
    user = admin(world.cluster, world.namespace)
    assert "\x1b" not in user.status().out
    assert "\x1b[" in user.status("--color", "always").out


def test_status_holds_no_value(world: World, controller: Controller) -> None:
    key = Key.new()
    world.synced(key)
    user = admin(world.cluster, world.namespace)
    ran = [user.status(), user.status("-o", "json"), user.status("mail"), user.status("other")]
    assert leaks(json.dumps([[one.out, one.err] for one in ran]).encode(), [key]) == []
