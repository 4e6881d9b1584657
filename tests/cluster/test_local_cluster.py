"""tools/local-cluster as its users meet it: by its command line, kubectl, and the processes it leaves or not.

Everything happens below a cache folder of the test's own; only the programs come from the real one."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "local-cluster"


class Tool:
    def __init__(self, cache: Path, assets: Path):
        self.clusters = cache / "ses-smtp-operator" / "clusters"
        self.env = os.environ | {"XDG_CACHE_HOME": str(cache), "KUBEBUILDER_ASSETS": str(assets)}

    def popen(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [TOOL, *args], env=self.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __call__(self, *args: str, status: int = 0) -> str:
        """What it printed: to standard output when it went well, else to standard error."""
        with self.popen(*args) as process:
            output, errors = process.communicate(timeout=120)
        assert process.returncode == status, errors
        return errors if status else output

    def info(self, name: str) -> dict:
        return json.loads(self("env", "--json", name))

    def kubectl(
        self, name: str, *args: str, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        info = self.info(name)
        return subprocess.run(
            [info["kubectl"], "--kubeconfig", kubeconfig or info["kubeconfig"], *args],
            env=self.env,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def leftovers(self) -> list[str]:
        return [path.name for path in self.clusters.iterdir()]


class Processes:
    """Those of one cluster, held from now on, so that no later process can be taken for one of them."""

    def __init__(self, info: dict):
        running = [info["supervisor"], *filter(None, info["components"].values())]
        self.pids = [process["pid"] for process in running]
        self.handles = [os.pidfd_open(pid) for pid in self.pids]

    def ended(self, seconds: float = 0) -> bool:
        deadline = time.monotonic() + seconds
        return all(
            select.select([handle], [], [], max(0, deadline - time.monotonic()))[0] for handle in self.handles
        )

    def none_ended(self) -> bool:
        return not select.select(self.handles, [], [], 0)[0]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    for path in subprocess.run([TOOL, "build"], stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        (folder / Path(path).name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Iterator[Tool]:
    """Two clusters, "one" and "two", that came up at the same time."""
    tool = Tool(tmp_path_factory.mktemp("pair"), assets)
    try:
        for process in [tool.popen("up", name) for name in ("one", "two")]:
            with process:
                _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        yield tool
    finally:
        tool("down", "--all")


@pytest.fixture
def tool(tmp_path: Path, assets: Path) -> Iterator[Tool]:
    tool = Tool(tmp_path, assets)
    yield tool
    tool("down", "--all")


def test_clusters_side_by_side_know_nothing_of_each_other(pair: Tool) -> None:
    assert pair.info("one")["server"] != pair.info("two")["server"]
    assert pair.kubectl("one", "create", "namespace", "only-in-one").returncode == 0
    assert "only-in-one" in pair.kubectl("one", "get", "namespaces").stdout
    assert "only-in-one" not in pair.kubectl("two", "get", "namespaces").stdout
    assert "x509" in pair.kubectl("two", "--server", pair.info("one")["server"], "get", "namespaces").stderr


def test_controllers_work(pair: Tool) -> None:
    """Ready means that a namespace gets what pods need, and that it and its content can go away again."""
    assert pair.kubectl("one", "create", "namespace", "short-lived").returncode == 0
    wait = pair.kubectl(
        "one",
        "--namespace=short-lived",
        "wait",
        "--for=create",
        "--timeout=20s",
        "serviceaccount/default",
        "configmap/kube-root-ca.crt",
    )
    assert wait.returncode == 0, wait.stderr
    gone = pair.kubectl("one", "delete", "namespace", "short-lived", "--timeout=20s")
    assert gone.returncode == 0, gone.stderr


def test_status_env_and_a_second_up_tell_of_the_running_cluster(pair: Tool) -> None:
    info = pair.info("one")
    assert info["state"] == "ready"
    assert [line.split()[:3] for line in pair("status").splitlines()[1:]] == [
        [name, "ready", pair.info(name)["server"]] for name in ("one", "two")
    ]
    shell = subprocess.run(
        [
            "sh",
            "-ec",
            f'eval "$({TOOL} env one)"; command -v kubectl; kubectl config view -o '
            'jsonpath="{.clusters[0].cluster.server}"',
        ],
        env=pair.env,
        text=True,
        capture_output=True,
        check=True,
    ).stdout.split()
    assert shell == [info["kubectl"], info["server"]]
    before = Processes(info)
    pair("up", "one")
    assert before.none_ended() and pair.info("one")["supervisor"] == info["supervisor"]
    assert "is ready already" in pair("up", "one", "--owner-pid", str(os.getpid()), status=1)


def test_kubeconfig_for_a_user_grants_what_rbac_grants(pair: Tool, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "user.kubeconfig"
    kubeconfig.write_text(pair("kubeconfig", "one", "--user", "alice/ops", "--group", "a+b", "--group", "c"))
    as_user: Callable = lambda *args: pair.kubectl("one", *args, kubeconfig=kubeconfig)
    who = json.loads(as_user("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert (who["username"], who["groups"]) == ("alice/ops", ["a+b", "c", "system:authenticated"])
    assert "Forbidden" in as_user("get", "secrets").stderr
    assert (
        pair.kubectl("one", "create", "rolebinding", "view", "--clusterrole=edit", "--group=c").returncode
        == 0
    )
    granted = as_user("get", "secrets")
    assert granted.returncode == 0, granted.stderr
    assert "Forbidden" in as_user("get", "secrets", "--namespace=kube-system").stderr


def test_audit_log_tells_who_did_what(pair: Tool) -> None:
    assert pair.kubectl("two", "get", "secrets").returncode == 0
    events = [json.loads(line) for line in Path(pair.info("two")["auditLog"]).read_text().splitlines()]
    assert ("kubernetes-admin", "list", "secrets", "default") in [
        (
            event["user"]["username"],
            event["verb"],
            event["objectRef"]["resource"],
            event["objectRef"].get("namespace"),
        )
        for event in events
        if "objectRef" in event
    ]
    assert {event["level"] for event in events} == {"Metadata"}


def test_api_server_stops_and_starts_at_the_same_address(pair: Tool) -> None:
    before = pair.info("two")
    pair("stop", "two", "apiserver")
    assert "ready, kube-apiserver stopped" in pair("status")
    assert pair.info("two")["components"]["kube-apiserver"] is None
    assert "refused" in pair.kubectl("two", "get", "namespaces").stderr
    pair("start", "two", "apiserver")
    after = pair.info("two")
    assert pair.kubectl("two", "get", "namespaces").returncode == 0
    assert after["server"] == before["server"]
    assert after["components"].pop("kube-apiserver") != before["components"].pop("kube-apiserver")
    assert after["components"] == before["components"]
    assert "no component" in pair("stop", "two", "kubelet", status=1)


def test_down_leaves_neither_process_nor_folder(tool: Tool) -> None:
    tool("up", "gone")
    processes = Processes(tool.info("gone"))
    assert len(processes.handles) == 4
    files = [path for path in (tool.clusters, *tool.clusters.rglob("*")) if not path.is_symlink()]
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    tool("down", "gone")
    assert processes.ended() and tool.leftovers() == []
    tool("down", "gone")


def test_cluster_ends_with_its_owner(tool: Tool) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as owner:
        tool("up", "owned", "--owner-pid", str(owner.pid))
        processes = Processes(tool.info("owned"))
        assert processes.none_ended()
        owner.kill()
    assert processes.ended(20) and tool.leftovers() == []
    assert "does not exist" in tool("up", "orphan", "--owner-pid", str(owner.pid), status=1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_up_leaves_nothing(tool: Tool, how: signal.Signals) -> None:
    with tool.popen("up", "half") as up:
        next(line for line in up.stderr if "etcd is ready" in line)
        processes = Processes(tool.info("half"))
        up.send_signal(how)
        errors = up.stderr.read()
    assert up.returncode == (-how if how == signal.SIGKILL else 130), errors
    assert processes.ended(20) and tool.leftovers() == []


def test_failed_up_shows_the_log_and_leaves_nothing(tool: Tool, assets: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for program in assets.iterdir():
        (broken / program.name).symlink_to(program.resolve())
    (broken / "kube-apiserver").unlink()
    (broken / "kube-apiserver").write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
    (broken / "kube-apiserver").chmod(0o755)
    tool.env["KUBEBUILDER_ASSETS"] = str(broken)
    errors = tool("up", "unlucky", status=1)
    assert "kube-apiserver ended with status 3" in errors and "the disk is on fire" in errors
    assert tool.leftovers() == []


def test_killed_supervisor_takes_its_components_along(tool: Tool) -> None:
    tool("up", "headless")
    processes = Processes(tool.info("headless"))
    os.kill(processes.pids[0], signal.SIGKILL)
    assert processes.ended(20)
    assert "dead" in tool("status")
    assert "does not answer" in tool("stop", "headless", "apiserver", status=1)
    tool("up", "headless")
    assert tool.kubectl("headless", "get", "namespaces").returncode == 0


def test_dead_component_ends_the_cluster_but_not_its_logs(tool: Tool) -> None:
    tool("up", "wounded")
    info = tool.info("wounded")
    processes = Processes(info)
    os.kill(info["components"]["kube-apiserver"]["pid"], signal.SIGKILL)
    assert processes.ended(20)
    assert "failed, kube-apiserver ended by signal 9" in tool("status")
    assert Path(info["folder"], "kube-apiserver.log").stat().st_size > 0
    tool("down", "wounded")
    assert tool.leftovers() == []
