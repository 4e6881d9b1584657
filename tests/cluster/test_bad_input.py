"""A world that is not as it should be: the operator says so in one line, waits, and goes on by itself."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from harness import (
    BINARY,
    MANAGER,
    REGION,
    Cluster,
    Controller,
    World,
    binding,
    condition,
    data_of,
    unique,
    wait_for,
)
from oracle import Key, plain, target_data


@pytest.fixture
def stopped_server(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose API server a test may stop; it runs again afterwards."""
    yield cluster
    cluster.start_server()


def first_complaint(controller: Controller, about: str) -> str:
    found = wait_for(
        f"a log line about {about}",
        lambda: [line for line in controller.complaints() if about in line],
        detail=controller.tail,
    )
    return found[0]


# ---- the API server ------------------------------------------------------------------------------------


def test_server_that_is_not_there_yet(
    world: World, stopped_server: Cluster, own_controller: Callable[..., Controller]
) -> None:
    """31, on start: one clear line, no exit, and work as soon as the API server is there."""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    server = stopped_server.info["server"]
    kubeconfig = stopped_server.kubeconfig_of("ses-smtp-operator-test", Path(stopped_server.info["folder"]))
    stopped_server.stop_server()
    controller = own_controller("--watch-namespaces", world.namespace, kubeconfig=kubeconfig)
    first_complaint(controller, server.removeprefix("https://"))
    stopped_server.start_server()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)
    assert_said_once(controller.complaints())


def assert_said_once(lines: list[str]) -> None:
    """However often it was tried, for each thing watched."""
    said = [(line["msg"], line.get("path")) for line in map(json.loads, lines)]
    assert sorted(set(said)) == sorted(said)


def test_server_that_goes_away(world: World, controller: Controller, stopped_server: Cluster) -> None:
    """31 | API server away for a while | – | catches up without a restart"""
    old, new = Key.new(), Key.new()
    world.synced(old)
    world.settle()
    log, pid = controller.log_size(), controller.pid
    stopped_server.stop_server()
    wait_for("the log says so", lambda: controller.complaints(log), 30, controller.tail)
    stopped_server.start_server()
    world.write_source(plain(new, region=REGION))
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(new, REGION)
    assert controller.running and controller.pid == pid
    assert_said_once(controller.complaints(log))


def test_end_while_the_server_is_away(
    stopped_server: Cluster, own_controller: Callable[..., Controller]
) -> None:
    kubeconfig = stopped_server.kubeconfig_of("ses-smtp-operator-test", Path(stopped_server.info["folder"]))
    stopped_server.stop_server()
    controller = own_controller(kubeconfig=kubeconfig)
    first_complaint(controller, stopped_server.info["server"].removeprefix("https://"))
    assert controller.stop(seconds=3) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_ends_it_cleanly(
    world: World, own_controller: Callable[..., Controller], how: signal.Signals
) -> None:
    controller = own_controller("--watch-namespaces", world.namespace)
    world.settle()
    assert controller.stop(how, seconds=3) == 0
    assert controller.complaints() == []


@pytest.fixture
def bare_cluster() -> Iterator[Cluster]:
    """Without the CRD."""
    cluster = Cluster.up(unique("bare"))
    try:
        cluster.install_rbac()
        yield cluster
    finally:
        cluster.down()


def test_missing_crd(bare_cluster: Cluster, own_controller: Callable[..., Controller]) -> None:
    """34 | CRD missing | – | waits, says so in one clear line, works once it is installed"""
    controller = own_controller(of=bare_cluster)
    line = first_complaint(controller, "ses-smtp.dev/v1alpha1/sessmtpcredentials")
    assert "crds/" in line or "install" in line, "it says what to do"
    mark = bare_cluster.now()
    wait_for("it looks again", lambda: bare_cluster.calls(mark), 60, controller.tail)
    assert controller.running
    assert_said_once(controller.complaints())
    bare_cluster.install_crd()
    bare_cluster.api.create("Namespace", {"metadata": {"name": "shop"}})
    world = World(bare_cluster, "shop")
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)


# ---- rights --------------------------------------------------------------------------------------------

LIMITED = "ses-smtp-operator-limited"  # a user without the ClusterRole


def grant(world: World) -> None:
    world.api.create("RoleBinding", binding("ClusterRole", MANAGER, LIMITED), world.namespace)


def test_namespace_without_rights(worlds: Iterator[World], own_controller: Callable[..., Controller]) -> None:
    """33 | no right on a namespace's Secrets | none, or untouched | Ready False `Forbidden`, Reconciling;
    other namespaces are not affected"""
    good, poor, closed = next(worlds), next(worlds), next(worlds)
    grant(good)
    rules = [
        {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials"], "verbs": ["list", "watch"]},
        {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    poor.api.create("Role", {"metadata": {"name": "no-secrets"}, "rules": rules}, poor.namespace)
    poor.api.create("RoleBinding", binding("Role", "no-secrets", LIMITED, name="no-secrets"), poor.namespace)
    key = Key.new()
    for world in (good, poor, closed):
        world.write_source(plain(key, region=REGION))
        world.create_credential()
    names = ",".join(world.namespace for world in (good, poor, closed))
    controller = own_controller("--watch-namespaces", names, user=LIMITED)
    assert data_of(good.wait_synced()[1]) == target_data(key, REGION)
    message = condition(poor.wait_not_ready("Forbidden"), "Ready")["message"]
    assert "secrets" in message.lower()
    assert poor.secret() is None
    first_complaint(controller, closed.namespace)
    assert closed.credential()["status"] == {"observedGeneration": -1}
    for world in (poor, closed):
        grant(world)
        assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)


def test_only_named_namespaces_are_watched(
    worlds: Iterator[World], own_controller: Callable[..., Controller]
) -> None:
    """33, the other side: what is not named is left alone though the rights are there."""
    mine, also_mine, theirs = next(worlds), next(worlds), next(worlds)
    for world in (theirs, mine, also_mine):
        world.write_source(plain(Key.new(), region=REGION))
        world.create_credential()
    own_controller("--watch-namespaces", f"{mine.namespace},{also_mine.namespace}")
    mine.wait_synced()
    also_mine.wait_synced()
    mine.settle()
    assert theirs.credential()["status"] == {"observedGeneration": -1}
    assert theirs.calls() == []


# ---- the command line ----------------------------------------------------------------------------------


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, "controller", *args],
        env={"HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def edited(cluster: Cluster, path: Path, edit: Callable[[dict], object]) -> Path:
    """A kubeconfig that was good before the edit."""
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))
    return path


BROKEN = {
    # what: (edit of a good kubeconfig, words of the message)
    "a context of an unknown cluster": (
        lambda c: c["contexts"][0]["context"].update(cluster="lost"),
        ["lost"],
    ),
    "a context of an unknown user": (lambda c: c["contexts"][0]["context"].update(user="lost"), ["lost"]),
    "an unknown current context": (lambda c: c.update({"current-context": "lost"}), ["lost"]),
    "no current context": (lambda c: c.pop("current-context"), ["current-context"]),
    "no server": (lambda c: c["clusters"][0]["cluster"].pop("server"), ["server"]),
    "a server that is no URL": (lambda c: c["clusters"][0]["cluster"].update(server="::"), ["server"]),
    "a CA file that is missing": (
        lambda c: c["clusters"][0].update(
            cluster={"server": "https://127.0.0.1:1", "certificate-authority": "lost.crt"}
        ),
        ["lost.crt"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_kubeconfig(cluster: Cluster, tmp_path: Path, what: str) -> None:
    edit, words = BROKEN[what]
    path = edited(cluster, tmp_path / "kubeconfig", edit)
    done = run("--kubeconfig", path)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert [word for word in [str(path), *words] if word not in line] == [], line


@pytest.mark.parametrize("text", ["{{{ not yaml", "just text", "", "[1, 2]", "\0\1\2"])
def test_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    done = run("--kubeconfig", path)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert str(path) in line


def test_missing_kubeconfig(tmp_path: Path) -> None:
    done = run("--kubeconfig", tmp_path / "lost")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert str(tmp_path / "lost") in line


def test_missing_context(cluster: Cluster) -> None:
    done = run("--kubeconfig", cluster.kubeconfig, "--context", "lost")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert "lost" in line and str(cluster.kubeconfig) in line and cluster.name in line, (
        "it names the contexts there are"
    )


def test_no_cluster_at_all() -> None:
    done = run()
    assert done.returncode == 2, done.stderr
    assert "--kubeconfig" in done.stderr


@pytest.mark.parametrize(
    "args, words",
    [
        # What it does not know is not repeated: it may be a secret that ended up there.
        (["--no-such-flag"], "--help"),
        (["stray"], "--help"),
        (["--log-level", "loud"], "{debug,error,info,warn}"),
        (["--log-format", "xml"], "{json,text}"),
        (["--watch-namespaces", "Not_A_Namespace"], "--watch-namespaces"),
        (["--kubeconfig"], "--kubeconfig"),
    ],
)
def test_usage_error(args: list[str], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stdout == ""
