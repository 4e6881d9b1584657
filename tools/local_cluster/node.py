"""What a cluster with a node has besides: real pods, shut off from the machine that runs them.

The supervisor moves into a network namespace that has no way out, and all it starts from then on lives in a
PID namespace. The first process in there, `namespaces`, makes the mounts that containerd and its like work
in: /run and /var are the node's own, all other folders are the machine's. It dies with the supervisor; the
kernel then ends all the others, containers too, and drops mounts, interfaces and addresses. Only empty
cgroups stay, removed together with the cluster's folder. With cgroup v2 one setting of the machine stays:
which controllers its root hands down."""

import ctypes
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from . import HOST, Failure, last_lines
from .cgroups import make_cgroup
from .control_plane import Asker, Component
from .credentials import certificate, kubeconfig
from .images import PAUSE, pause_image, run

NAME, ADDRESS, POD_RANGE = "node", "10.64.0.1", "10.65.0.0/16"
CNI_PLUGINS = Path("/usr/lib/cni")  # where Debian puts them
DNS = "10.96.0.10"  # what pods ask for names; nobody answers unless a Service has this address
COMMANDS = "containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", "nsenter", "unshare"
PROXY_HEALTH = 10256
CLONE_NEWNET, CLONE_NEWPID = 0x40000000, 0x20000000
LIBC = ctypes.CDLL(None, use_errno=True)


def require_node() -> None:
    if os.geteuid() != 0:
        raise Failure("a cluster with a node needs root: it makes namespaces, mounts and cgroups")
    lacking = [name for name in COMMANDS if not shutil.which(name)]
    lacking += [
        str(CNI_PLUGINS / name) for name in ("ptp", "host-local") if not (CNI_PLUGINS / name).exists()
    ]
    if lacking:
        raise Failure(f"a node needs {', '.join(lacking)}: `make node-tools` installs that")


def unshare(what: int) -> None:
    if LIBC.unshare(what):
        raise Failure(f"no namespace for the node: {os.strerror(ctypes.get_errno())}")


def enter_network() -> None:
    """From now on the calling process is in the node's network, and no other. Its address is on the loopback
    interface, from where pods reach it, too."""
    unshare(CLONE_NEWNET)
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def enter_processes() -> None:
    """What the calling process starts from now on is in a PID namespace that ends with the first of them."""
    unshare(CLONE_NEWPID)


def inside(namespaces: int) -> list[str]:
    """Makes of a command one that sees the node's mounts, given the pid of `namespaces`."""
    return ["nsenter", f"--mount=/proc/{namespaces}/ns/mnt", "--"]


def load_image(namespaces: int, archive: Path) -> None:
    with open(archive, "rb") as content:
        command = [*inside(namespaces), "ctr", "--namespace=k8s.io", "images", "import", "-"]
        done = subprocess.run(command, stdin=content, capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"{archive} was not loaded:\n{last_lines(done.stderr)}")


class Node:
    """`server_port` is the API server's, the same inside as outside, where `listener` holds it."""

    def __init__(self, folder: Path, programs: dict[str, str], listener: int, server_port: int):
        self.folder, self.programs = folder, programs
        self.listener, self.server_port = listener, server_port
        self.cgroup = f"local-cluster-{folder.name}-{secrets.token_hex(4)}"
        self.pause = pause_image()
        self.namespaces = 0  # the pid, once that runs

    def write_files(self, server: str) -> None:
        pki, folder = self.folder / "pki", self.folder
        certificate(pki, "apiserver-to-kubelet", "kube-apiserver", ("system:masters",))
        certificate(pki, "kubelet-server", NAME, hosts=f"IP:{ADDRESS}")
        for name, user, groups in (
            ("scheduler", "system:kube-scheduler", ()),
            ("kubelet", f"system:node:{NAME}", ("system:nodes",)),
            ("proxy", "system:kube-proxy", ()),
        ):
            certificate(pki, name, user, groups)
            (pki / f"{name}.kubeconfig").write_text(kubeconfig(pki, name, folder.name, server))
        (folder / "resolv.conf").write_text("# no name server: the machine's are out of reach\n")
        (folder / "cni").mkdir()
        (folder / "cni/pods.conflist").write_text(json.dumps(CNI, indent=2))
        (folder / "containerd.toml").write_text(CONTAINERD.format(cni=folder / "cni"))
        (folder / "kubelet.json").write_text(json.dumps(self.kubelet_config(), indent=2))
        (folder / "kube-proxy.json").write_text(json.dumps(self.proxy_config(), indent=2))
        make_cgroup(self.cgroup)

    def foundation(self) -> list[Component]:
        """What starts before the control plane."""
        script, forwarder = (Path(__file__).with_name(name) for name in ("namespaces", "forwarder.py"))
        programs = [Path(program).absolute() for program in self.programs.values()]
        kept = {str(folder) for program in programs for folder in (program.parent, program.resolve().parent)}
        return [
            Component(
                "namespaces",
                ["unshare", "--mount", str(script), str(self.folder.resolve()), *sorted(kept)],
                lambda: Path(f"/proc/{self.namespaces}/root/run/node-namespaces").exists(),
            ),
            Component(
                "forwarder",
                [sys.executable, str(forwarder), str(self.listener), HOST, str(self.server_port)],
                lambda: True,  # its socket listens already
                descriptors=(self.listener,),
            ),
        ]

    def components(self, api: Asker) -> list[Component]:
        """What starts after it."""
        pki = self.folder / "pki"
        return [
            Component(
                "kube-scheduler",
                [
                    self.programs["kube-scheduler"],
                    f"--kubeconfig={pki}/scheduler.kubeconfig",
                    "--leader-elect=false",
                    "--secure-port=0",
                ],
                lambda: True,  # pods wait for it
            ),
            Component(
                "containerd",
                ["containerd", f"--config={self.folder}/containerd.toml"],
                self.has_pause_image,
                inside=True,
            ),
            Component(
                "kubelet",
                [
                    self.programs["kubelet"],
                    f"--config={self.folder}/kubelet.json",
                    f"--kubeconfig={pki}/kubelet.kubeconfig",
                    f"--hostname-override={NAME}",
                    f"--node-ip={ADDRESS}",
                ],
                lambda: is_ready(api.get(f"/api/v1/nodes/{NAME}")),
                inside=True,
            ),
            Component(
                "kube-proxy",
                [self.programs["kube-proxy"], f"--config={self.folder}/kube-proxy.json"],
                lambda: Asker(PROXY_HEALTH).get("/healthz") is not None,
                inside=True,
            ),
        ]

    def has_pause_image(self) -> bool:
        try:
            load_image(self.namespaces, self.pause)
        except Failure:
            return False
        return True

    def kubelet_config(self) -> dict:
        pki = self.folder / "pki"
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "tlsCertFile": f"{pki}/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
            "authentication": {"x509": {"clientCAFile": f"{pki}/ca.crt"}, "anonymous": {"enabled": False}},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "oomScoreAdj": 0,  # a lower one takes CAP_SYS_RESOURCE
            "resolvConf": f"{self.folder}/resolv.conf",
            "clusterDNS": [DNS],
            "clusterDomain": "cluster.local",
            "volumePluginDir": "/var/lib/kubelet/plugins-exec",
            # A changed Secret is in its pods' files when this has passed, instead of a minute later.
            "syncFrequency": "5s",
            # The disk is the machine's, and no registry gives an image back.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
        }

    def proxy_config(self) -> dict:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": f"{self.folder}/pki/proxy.kubeconfig"},
            "hostnameOverride": NAME,
            "mode": "iptables",
            "clusterCIDR": POD_RANGE,
            "oomScoreAdj": 0,
            "healthzBindAddress": f"{HOST}:{PROXY_HEALTH}",
            # Connection tracking has limits for the whole machine: they stay as they are.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }


def is_ready(node: bytes | None) -> bool:
    """Ready, and open to pods."""
    if node is None:
        return False
    state = json.loads(node)
    conditions = {one["type"]: one["status"] for one in state["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not state["spec"].get("taints")


# Point-to-point links: a bridge would want br_netfilter.
CNI = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}

# Lowering an OOM score takes CAP_SYS_RESOURCE; an AppArmor profile would be loaded for the whole machine.
# /opt, where containerd makes a folder unless told otherwise, is the machine's; /run and /var are the node's.
CONTAINERD = f"""\
version = 2

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{{cni}}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
