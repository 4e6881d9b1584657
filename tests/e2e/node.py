"""A cluster with a node, and what the tests do on it: helm, pods, their logs, mail."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import REGION, ROOT, Cluster, World, program, unique, wait_for
from local_cluster.credentials import certificate
from local_cluster.node import DNS, inside

from kube import Api, Object

NAME, NAMESPACE = "ses-smtp-operator", "ses-smtp-system"
VERSION = (ROOT / "VERSION").read_text().strip()
REPOSITORY = "ghcr.io/ses-smtp-operator/ses-smtp-operator"
IMAGE = Path(os.environ.get("SESSMTP_IMAGE") or ROOT / "build/image/ses-smtp-operator.oci.tar")
CHART = ROOT / "charts" / NAME
EVIDENCE = ROOT / "build/e2e"
HOST = f"email-smtp.{REGION}.amazonaws.com"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SELECTOR = f"app.kubernetes.io/name={NAME}"

# What the Pod Security Standard "restricted" asks for, and a file system that cannot be written.
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class Node(Cluster):
    """What is kept of it for whoever asks why a test failed is in build/e2e."""

    @staticmethod
    def up(name: str) -> "Node":
        Cluster.up(name, "--node", f"--keep-logs={EVIDENCE}")
        return Node(name)

    def __init__(self, name: str):
        super().__init__(name)
        self.helm_home = Path(self.info["folder"]) / "helm"  # goes with it
        self.logs = LogKeeper(self, EVIDENCE / "logs")

    def down(self) -> None:
        self.logs.stop()
        super().down()

    def load(self, *archives: Path) -> None:
        for archive in archives:
            assert archive.exists(), f"{archive} does not exist: `make image` builds the operator's"
        self._tool("load", self.name, *map(str, archives))

    def tag(self, image: str, other: str) -> None:
        namespaces = self.info["components"]["namespaces"]["pid"]
        command = [*inside(namespaces), "ctr", "--namespace=k8s.io", "images", "tag", "--force", image, other]
        subprocess.run(command, check=True, capture_output=True)

    def helm(self, *args: Any, check: bool = True) -> subprocess.CompletedProcess[str]:
        own = {f"HELM_{kind}_HOME": str(self.helm_home) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.helm_home), **own}
        done = subprocess.run(
            [program("helm"), f"--kubeconfig={self.kubeconfig}", *map(str, args)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"helm {' '.join(map(str, args))}: {done.stderr}{done.stdout}"
        return done

    def objects(self, *what: str, namespace: str = "") -> list[Object]:
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        return json.loads(self.kubectl("get", *what, *where, "--output=json").stdout)["items"]

    def namespace(self, name: str, **labels: str) -> None:
        self.api.apply("Namespace", {"metadata": {"name": name, "labels": RESTRICTED | labels}})

    def pod_log(self, name: str, namespace: str) -> list[Object]:
        """Of a pod that writes JSON lines."""
        text = self.kubectl("logs", f"--namespace={namespace}", name, check=False).stdout
        return [json.loads(line) for line in text.split("\n")[:-1] if line.startswith("{")]

    # -- the operator's pods

    @contextlib.contextmanager
    def operator(self, replicas: int, *values: str) -> Iterator[None]:
        """The chart with these values, for as long as the context lasts."""
        here = f"--namespace={NAMESPACE}", "--timeout=60s"
        try:
            self.helm("install", NAME, CHART, *here, f"--set=replicaCount={replicas}", *values)
            self.wait_operator(replicas)
            self.leader()
            yield
        finally:
            self.helm("uninstall", NAME, *here, "--wait", "--ignore-not-found")
            # Its role may have gone before it could give the lease back: the next would wait for 15 s.
            self.api.delete("Lease", NAME, NAMESPACE)

    def operator_pods(self) -> list[Object]:
        """Without those that are ending."""
        pods = self.objects("pods", f"--selector={SELECTOR}", namespace=NAMESPACE)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def wait_operator(self, replicas: int, seconds: float = 60) -> list[Object]:
        """Until exactly that many are there, and ready."""

        def probe() -> list[Object] | None:
            pods = self.operator_pods()
            return pods if len(pods) == replicas and all(map(is_ready, pods)) else None

        return wait_for(f"{replicas} pods of the operator are ready", probe, seconds, self.describe)

    def leader(self) -> str:
        """The name of the pod that holds the lease and is there."""

        def probe() -> str | None:
            lease = self.api.get("Lease", NAME, NAMESPACE)
            holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
            names = [pod["metadata"]["name"] for pod in self.operator_pods()]
            return next((name for name in names if holder.startswith(name)), None)

        return wait_for("a pod leads", probe, 30, self.describe)

    def describe(self) -> str:
        return self.kubectl("get", "pods,events", "--all-namespaces").stdout

    def keep_evidence(self) -> None:
        """Pods' logs are there already. No values of Secrets."""
        for log in Path(self.info["folder"]).glob("*.log"):
            if log.name != "audit.log":
                shutil.copy(log, EVIDENCE)
        for name, what in (
            ("all", ["get", "all", "--all-namespaces", "--output=wide"]),
            ("events", ["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]),
            ("pods", ["describe", "pods", "--all-namespaces"]),
            ("credentials", ["get", "sesc", "--all-namespaces", "--output=yaml"]),
        ):
            (EVIDENCE / f"{name}.txt").write_text(self.kubectl(*what, check=False).stdout)


def python_image() -> Path:
    """For the pods of the tests; it is made once a week."""
    made = subprocess.run([ROOT / "tests/fake_ses/image"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


def is_ready(pod: Object) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


class LogKeeper:
    """Follows the logs of all containers, so that those of pods that are gone can be read."""

    def __init__(self, cluster: Cluster, folder: Path):
        self.cluster, self.folder = cluster, folder
        self.api = Api(cluster.kubeconfig)
        self.followers: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = threading.Event()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.stopping.wait(0.2):
            with contextlib.suppress(Exception):  # the API server is away for a moment, or for good
                for pod in self.api.list("Pod"):
                    for container in pod["status"].get("containerStatuses", []):
                        self.follow(pod["metadata"], container)

    def follow(self, pod: Object, container: Object) -> None:
        started = container["state"].keys() & {"running", "terminated"}
        name = "_".join(
            [pod["namespace"], pod["name"], container["name"], container.get("containerID", "")[-8:]]
        )
        if started and name not in self.followers:
            with open(self.folder / f"{name}.log", "wb") as log:
                self.followers[name] = subprocess.Popen(
                    [
                        self.cluster.info["kubectl"],
                        f"--kubeconfig={self.cluster.kubeconfig}",
                        "logs",
                        "--follow",
                        f"--namespace={pod['namespace']}",
                        f"--container={container['name']}",
                        pod["name"],
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def files(self, namespace: str) -> list[Path]:
        return sorted(self.folder.glob(f"{namespace}_*.log"))

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()
        for follower in self.followers.values():
            follower.terminate()
            follower.wait()


# ---- mail ----------------------------------------------------------------------------------------------


class Mail:
    """A fake SES in a pod, behind a Service with the ports of the real one."""

    POD = "fake-ses"

    def __init__(self, node: Node, pki: Path):
        self.node, self.namespace = node, unique("mail")
        certificate(pki, "ca", "Mail test CA", ca=True)
        certificate(pki, "server", HOST, hosts=f"DNS:{HOST}")
        self.ca = (pki / "ca.crt").read_text()
        files = {name: (pki / f"server.{name}").read_text() for name in ("crt", "key")}
        node.namespace(self.namespace)
        node.api.apply("Secret", {"metadata": {"name": "tls"}, "stringData": files}, self.namespace)
        self.config_map(self.namespace)
        command = "--host=" + HOST, "--keys=/keys/keys.json", "--certificate=/tls/crt", "--key=/tls/key"
        ports = "--address=0.0.0.0", "--starttls-port=2587", "--tls-port=2465"
        pod = python_pod(
            self.POD,
            ["fake_ses.py", *command, *ports],
            mounts={
                "program": ("/program", {"configMap": {"name": "mail"}}),
                "tls": ("/tls", {"secret": {"secretName": "tls"}}),
                "keys": ("/keys", {"emptyDir": {"medium": "Memory"}}),
            },
            readinessProbe={"tcpSocket": {"port": 2587}, "periodSeconds": 1},
        )
        node.api.create("Pod", pod, self.namespace)
        service = {
            "metadata": {"name": "smtp"},
            "spec": {
                "selector": {"app": self.POD},
                "ports": [
                    {"name": f"p{port}", "port": port, "targetPort": target}
                    for port, target in ((587, 2587), (2587, 2587), (465, 2465), (2465, 2465))
                ],
            },
        }
        self.ip = node.api.create("Service", service, self.namespace)["spec"]["clusterIP"]
        self.wait_ready(self.POD)

    def wait_ready(self, pod: str) -> None:
        here = f"--namespace={self.namespace}"
        self.node.kubectl("wait", here, f"pod/{pod}", "--for=condition=Ready", "--timeout=50s")

    @contextlib.contextmanager
    def in_dns(self) -> Iterator[None]:
        """Pods that ask the cluster's DNS for the host of SES get the address of this one."""
        name, port = "name-server", 5353
        program = {"program": ("/program", {"configMap": {"name": "mail"}})}
        pod = python_pod(name, ["name_server.py", "0.0.0.0", str(port), f"{HOST}={self.ip}"], mounts=program)
        ports = [{"port": 53, "targetPort": port, "protocol": "UDP"}]
        spec = {"selector": {"app": name}, "clusterIP": DNS, "ports": ports}
        try:
            self.node.api.create("Pod", pod, self.namespace)
            self.node.api.create("Service", {"metadata": {"name": name}, "spec": spec}, self.namespace)
            self.wait_ready(name)
            yield
        finally:
            for kind in ("Service", "Pod"):
                self.node.api.delete(kind, name, self.namespace)

    def config_map(self, namespace: str) -> None:
        """The programs, and the authority that clients trust."""
        data = {path.name: path.read_text() for path in (ROOT / "tests/fake_ses").glob("*.py")}
        self.node.api.apply(
            "ConfigMap", {"metadata": {"name": "mail"}, "data": data | {"ca.crt": self.ca}}, namespace
        )

    def trust(self, namespace: str) -> None:
        """What pods that believe in this authority alone mount at /etc/ssl/certs, as ConfigMap "trust"."""
        subject = subprocess.run(
            ["openssl", "x509", "-noout", "-hash"], input=self.ca, capture_output=True, text=True, check=True
        ).stdout.strip()
        data = {"ca-certificates.crt": self.ca, f"{subject}.0": self.ca}
        java = {"cacerts": base64.b64encode(self.java_ca).decode()}
        body = {"metadata": {"name": "trust"}, "data": data, "binaryData": java}
        self.node.api.apply("ConfigMap", body, namespace)

    @cached_property
    def java_ca(self) -> bytes:
        """The same for Java, which reads no PEM."""
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "cacerts"
            command = ["keytool", "-importcert", "-noprompt", "-keystore", store]
            command += ["-storetype", "JKS", "-storepass", "changeit"]  # a type that is read without password
            subprocess.run(command, input=self.ca, capture_output=True, text=True, check=True)
            return store.read_bytes()

    def accept(self, *keys: Any) -> None:
        """From now on exactly these keys are active."""
        write = (
            "import os, sys; open('/keys/new', 'w').write(sys.stdin.read()); "
            "os.rename('/keys/new', '/keys/keys.json')"
        )
        self.node.kubectl(
            "exec",
            "--stdin",
            f"--namespace={self.namespace}",
            self.POD,
            "--",
            "python3",
            "-c",
            write,
            text=json.dumps({key.id: key.secret for key in keys}),
        )

    def log(self, what: str) -> list[Object]:
        """The mails that were accepted, or the logins that were refused."""
        return [line[what] for line in self.node.pod_log(self.POD, self.namespace) if what in line]

    def start_client(self, world: World, target: str) -> Object:
        """A pod that mounts the target and sends mail all the time."""
        mount = {"smtp": ("/etc/smtp", {"secret": {"secretName": target}})}
        return self.node.api.create("Pod", self.client(world, target, "/etc/smtp", mount), world.namespace)

    def deploy_client(self, world: World, target: str, replicas: int = 1) -> Object:
        """A Deployment whose pod sends mail with what the target, of format Env, held when it started."""
        pod = self.client(world, target, "env", {}, envFrom=[{"secretRef": {"name": target}}])
        pod["spec"]["terminationGracePeriodSeconds"] = 1  # with 0 it is gone before it has ended
        labels = pod["metadata"]["labels"]
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
        spec["template"] = {"metadata": {"labels": labels}, "spec": pod["spec"]}
        body = {"metadata": {"name": pod["metadata"]["name"]}, "spec": spec}
        return self.node.api.create("Deployment", body, world.namespace)

    def client(
        self, world: World, target: str, login: str, mounts: dict[str, tuple[str, Object]], **container: Any
    ) -> Object:
        self.config_map(world.namespace)
        program = {"program": ("/program", {"configMap": {"name": "mail"}})}
        command = ["send_mail.py", login, "/program/ca.crt"]
        pod = python_pod(f"send-{target}", command, mounts=program | mounts, **container)
        pod["spec"]["hostAliases"] = [{"ip": self.ip, "hostnames": [HOST]}]
        return pod


def python_pod(
    name: str, command: Sequence[str], mounts: dict[str, tuple[str, Object]], **container: Any
) -> Object:
    program, *args = command
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 0,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": "python",
                    "image": "localhost/fake-ses:1",
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-u", f"/program/{program}", *args],
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [
                        {"name": volume, "mountPath": where} for volume, (where, _) in mounts.items()
                    ],
                    **container,
                }
            ],
            "volumes": [{"name": volume, **source} for volume, (_, source) in mounts.items()],
        },
    }


# ---- processes ------------------------------------------------------------------------------------------


def cgroup_of(node: Node, pod: Object) -> Path:
    """Of its only container, as this machine sees it."""
    [status] = pod["status"]["containerStatuses"]
    container = status["containerID"].rpartition("/")[2]
    [group] = [
        found
        for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
        for found in (root / node.info["cgroup"]).glob(f"kubepods/**/{container}")
    ]
    return group


def copy_program(node: Node, pod: Object, path: Path) -> None:
    """Of the program that runs in it."""
    [pid, *_] = (cgroup_of(node, pod) / "cgroup.procs").read_text().split()
    shutil.copy(f"/proc/{pid}/exe", path)


def memory_of(node: Node, pod: Object) -> dict[str, float]:
    """In MiB, as the kernel of this machine counts it: the container's, and the process's."""
    group = cgroup_of(node, pod)
    [pid, *_] = (group / "cgroup.procs").read_text().split()
    status_lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    process = dict(line.split(":", 1) for line in status_lines if line.startswith(("VmRSS", "VmHWM")))
    version_2 = (group / "memory.current").exists()
    names = (
        ("current", "peak", "max")
        if version_2
        else ("usage_in_bytes", "max_usage_in_bytes", "limit_in_bytes")
    )
    usage, peak, limit = (
        float((group / f"memory.{name}").read_text().replace("max", "inf")) for name in names
    )
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    idle = int(stat["inactive_file" if version_2 else "total_inactive_file"])
    return {
        "limit": limit / 2**20,
        "working set": (usage - idle) / 2**20,
        "peak": peak / 2**20,
        "VmRSS": int(process["VmRSS"].split()[0]) / 1024,
        "VmHWM": int(process["VmHWM"].split()[0]) / 1024,
    }
