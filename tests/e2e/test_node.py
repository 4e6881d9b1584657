"""tools/local-cluster up --node: pods run, and nothing is left of them.

The clusters stand below a cache folder of the tests' own, beside the cluster of the other tests; only the
programs come from the real one."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import LOCAL_CLUSTER, ROOT, wait_for
from local_cluster import Failure, cgroups
from local_cluster.cgroups import hand_down
from node import CONTAINER_SECURITY, POD_SECURITY, python_image

SERVER = """
import http.server, json, os, pathlib, ssl, urllib.request
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
server = "https://" + os.environ["KUBERNETES_SERVICE_HOST"]
question = urllib.request.Request(
    server + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
    {"Authorization": "Bearer " + (account / "token").read_text(), "Content-Type": "application/json"},
)
tls = ssl.create_default_context(cafile=account / "ca.crt")
with urllib.request.urlopen(question, context=tls) as answer:
    who = json.load(answer)["status"]["userInfo"]["username"]
print(json.dumps({"server": server, "who": who}), flush=True)
os.chdir("/mounted")
http.server.test(http.server.SimpleHTTPRequestHandler, port=8000, bind="0.0.0.0")
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "dnsPolicy": "Default",
        "securityContext": POD_SECURITY,
        "containers": [
            {
                "name": "python",
                "image": "localhost/fake-ses:1",
                "command": ["python3", "-c", SERVER],
                "securityContext": CONTAINER_SECURITY,
                "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
                "volumeMounts": [{"name": "mounted", "mountPath": "/mounted"}],
            }
        ],
        "volumes": [{"name": "mounted", "secret": {"secretName": "mounted"}}],
    },
}


class Tool:
    def __init__(self, cache: Path):
        """With the programs of this machine, but a cache folder, and so clusters, of its own."""
        self.cache, assets = cache, cache / "assets"
        assets.mkdir()
        for command in (["local-cluster", "build"], ["program", "kube-scheduler", "kubelet", "kube-proxy"]):
            command[0] = str(ROOT / "tools" / command[0])
            for path in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split():
                (assets / Path(path).name).symlink_to(path)
        self.environment = os.environ | {"XDG_CACHE_HOME": str(cache), "KUBEBUILDER_ASSETS": str(assets)}

    def __call__(self, *args: object, prefix: tuple[str, ...] = (), check: bool = True) -> str:
        done = subprocess.run(
            [*prefix, LOCAL_CLUSTER, *map(str, args)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode == 0) == check, done.stderr
        return done.stdout if check else done.stderr

    def info(self, name: str) -> dict:
        return json.loads(self("env", "--json", name))

    def kubectl(self, name: str, *args: str, text: str | None = None) -> str:
        info = self.info(name)
        done = subprocess.run(
            [info["kubectl"], f"--kubeconfig={info['kubeconfig']}", *args],
            input=text,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_pod(self, name: str) -> None:
        self("load", name, python_image())
        self.kubectl(name, "create", "secret", "generic", "mounted", "--from-literal=word=hello")
        self.kubectl(name, "create", "--filename=-", text=json.dumps(POD))
        self.kubectl(name, "wait", "pod/web", "--for=condition=Ready", "--timeout=60s")


class Traces:
    """All by which a running cluster can be seen on this machine."""

    def __init__(self, tool: Tool, name: str):
        info = tool.info(name)
        first = f"/proc/{info['components']['namespaces']['pid']}/ns"
        self.namespaces = {os.readlink(f"{first}/{kind}") for kind in ("pid", "mnt", "net")}
        self.folder, self.cgroup = Path(info["folder"]), info["cgroup"]
        self.supervisor = info["supervisor"]["pid"]

    def processes(self) -> list[str]:
        """Its components, which are in its namespaces, and its pods, which are in its cgroup."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just gone
                mine = {os.readlink(process / "ns" / kind) for kind in ("pid", "mnt", "net")}
                if mine & self.namespaces or self.cgroup in (process / "cgroup").read_text():
                    found.append((process / "comm").read_text().strip())
        return found

    def cgroups(self) -> list[str]:
        return [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}")]


def machine() -> dict[str, object]:
    """What a cluster must leave alone."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "mounts": [
            line for line in mounts if re.search("kubelet|containerd|netns|local-cluster|/clusters/", line)
        ],
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "network namespaces": sorted(os.listdir("/run/netns")) if Path("/run/netns").exists() else [],
        "folders": {path: sorted(os.listdir(path)) for path in WRITTEN_BY_A_NODE if os.path.exists(path)},
        "settings": {name: Path("/proc/sys", name).read_text() for name in SET_BY_KUBELET},
    }


WRITTEN_BY_A_NODE = (
    "/opt",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/pods",
    "/run/containerd/io.containerd.runtime.v2.task",
)
SET_BY_KUBELET = "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    tool = Tool(tmp_path_factory.mktemp("cache"))
    yield tool
    tool("down", "--all")


@pytest.fixture(scope="module")
def before() -> dict[str, object]:
    return machine()


@pytest.fixture(scope="module")
def pods(before: dict[str, object], tool: Tool) -> Callable[..., str]:
    """kubectl for a cluster named "pods", in which the pod runs."""
    tool("up", "pods", "--node")
    tool.run_pod("pods")
    return lambda *args: tool.kubectl("pods", *args)


def test_cgroup_version_2_hands_down_what_kubelet_demands(tmp_path: Path) -> None:
    """In files that look like its root. Nothing of it was seen on such a machine."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma misc\n")
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("memory io\n")
    hand_down(tmp_path)
    assert control.read_text() == "+cpu +cpuset +pids"  # in one write; what is handed down already stays


def test_cgroup_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path / "missing"])
    with pytest.raises(Failure, match="No such file .*--privileged --cgroupns=host"):
        cgroups.make_cgroup("node")


def test_cgroup_version_1_is_only_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path])
    cgroups.make_cgroup("node")
    assert os.listdir(tmp_path) == ["node"]


def test_needs_root(tool: Tool) -> None:
    errors = tool("up", "nobody", "--node", prefix=("unshare", "--user"), check=False)
    assert (
        errors == "local-cluster: a cluster with a node needs root: it makes namespaces, mounts and cgroups\n"
    )


def test_pod_reaches_the_api_server_by_its_service(pods: Callable[..., str]) -> None:
    said = json.loads(pods("logs", "web").splitlines()[0])
    assert said == {"server": "https://10.96.0.1", "who": "system:serviceaccount:default:default"}


def test_pod_reads_a_mounted_secret_by_exec(pods: Callable[..., str]) -> None:
    assert pods("exec", "web", "--", "cat", "/mounted/word") == "hello"


def test_streams_reach_the_node_from_outside(tool: Tool, pods: Callable[..., str]) -> None:
    """kubectl port-forward to the pod, whose request appears in logs --follow."""
    info = tool.info("pods")
    kubectl = [info["kubectl"], f"--kubeconfig={info['kubeconfig']}"]
    started: list[subprocess.Popen[str]] = []

    def start(*args: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen([*kubectl, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    try:
        log = start("logs", "--follow", "web")
        assert "10.96.0.1" in log.stdout.readline()
        forward = start(
            "port-forward", "pod/web", ":8000"
        ).stdout.readline()  # Forwarding from 127.0.0.1:N -> …
        address = forward.split()[2]
        word = subprocess.run(
            [
                "python3",
                "-c",
                f"import urllib.request as u; print(u.urlopen('http://{address}/word').read())",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert word.stdout == "b'hello'\n", word.stderr
        assert any("GET /word" in line for line in log.stdout)
    finally:
        for process in started:
            process.terminate()
            process.wait()


def test_pod_reaches_a_service_and_nothing_outside(pods: Callable[..., str]) -> None:
    pods("expose", "pod/web", "--port=80", "--target-port=8000")
    address = pods("get", "service/web", "--output=jsonpath={.spec.clusterIP}")
    fetch = f"import urllib.request as u; print(u.urlopen('http://{address}/word', timeout=5).read())"

    def answer() -> bool:  # kube-proxy follows in a moment
        try:
            return pods("exec", "web", "--", "python3", "-c", fetch) == "b'hello'\n"
        except AssertionError:
            return False

    wait_for("the service answers", answer)
    out = "import socket; print(socket.socket().connect_ex(('192.0.2.1', 80)))"
    assert os.strerror(int(pods("exec", "web", "--", "python3", "-c", out))) == "Network is unreachable"


def test_request_that_makes_no_sense_is_refused(tool: Tool, pods: Callable[..., str]) -> None:
    folder = os.open(tool.info("pods")["folder"], os.O_PATH)
    try:
        for request in ("start nothing", "stop nothing", "break etcd"):
            with socket.socket(socket.AF_UNIX) as supervisor:
                supervisor.settimeout(10)
                supervisor.connect(f"/proc/self/fd/{folder}/control.sock")
                supervisor.sendall(request.encode())
                assert supervisor.recv(4096).startswith(b"there is no ")
    finally:
        os.close(folder)
    assert pods("exec", "web", "--", "cat", "/mounted/word") == "hello"


def test_killed_supervisor_takes_the_node_along(tool: Tool, pods: Callable[..., str]) -> None:
    """Side by side with the other cluster, which notices nothing."""
    tool("up", "headless", "--node")
    tool.run_pod("headless")
    traces = Traces(tool, "headless")
    assert {"kubelet", "containerd", "python3", "pause"} <= set(traces.processes())
    os.kill(traces.supervisor, signal.SIGKILL)
    wait_for(
        "all its processes have ended", lambda: not traces.processes(), 20, lambda: str(traces.processes())
    )
    assert "dead" in tool("status")
    tool("down", "headless")
    assert traces.cgroups() == [] and not traces.folder.exists()
    assert pods("exec", "web", "--", "cat", "/mounted/word") == "hello"


def test_node_ends_with_its_owner(tool: Tool) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as owner:
        tool("up", "owned", "--node", "--owner-pid", owner.pid)
        traces = Traces(tool, "owned")
        owner.kill()
    wait_for("all its processes have ended", lambda: not traces.processes(), 30)
    assert traces.cgroups() == [] and not traces.folder.exists()


def test_down_leaves_nothing(tool: Tool, before: dict[str, object], pods: Callable[..., str]) -> None:
    traces = Traces(tool, "pods")
    assert len(traces.cgroups()) > 0 and {"kubelet", "python3", "pause"} <= set(traces.processes())
    tool("down", "pods")
    assert (traces.processes(), traces.cgroups()) == ([], [])
    assert not traces.folder.exists()
    assert machine() == before
