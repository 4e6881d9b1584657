"""What a cluster consists of: its files, its components, their flags, and how to see that each is ready."""

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import HOST
from .credentials import certificate, kubeconfig

SERVICE_RANGE, SERVICE_IP = "10.96.0.0/16", "10.96.0.1"
CONTROLLERS = (  # what an operator's tests rest on; those that make pods want a node
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",  # a changed template makes another ReplicaSet, or another revision
    "daemonset-controller",
    "statefulset-controller",
)


@dataclass(frozen=True)
class Component:
    """One running program. `ready` asks it once; the supervisor asks again until it says yes."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    inside: bool = False  # it sees a node's mounts instead of the machine's
    descriptors: tuple[int, ...] = ()  # it inherits these


@dataclass(frozen=True)
class Asker:
    """Asks an HTTP server on this machine."""

    port: int
    tls: ssl.SSLContext | None = None

    def get(self, path: str) -> bytes | None:
        """The answer's body; None unless it is a 200."""
        connection = (
            http.client.HTTPSConnection(HOST, self.port, timeout=5, context=self.tls)
            if self.tls
            else http.client.HTTPConnection(HOST, self.port, timeout=5)
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read() if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def write_files(folder: Path, name: str, server: str) -> None:
    (pki := folder / "pki").mkdir()
    certificate(pki, "ca", f"{name}-ca", ca=True)
    certificate(
        pki,
        "apiserver",
        "kube-apiserver",
        hosts=f"IP:{HOST},IP:{SERVICE_IP},DNS:localhost,DNS:kubernetes,"
        "DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local",
    )
    certificate(pki, "service-accounts", "service-accounts")
    certificate(pki, "admin", "kubernetes-admin", ("system:masters",))
    certificate(pki, "controller-manager", "system:kube-controller-manager")
    (folder / "admin.kubeconfig").write_text(kubeconfig(pki, "admin", name, server))
    (pki / "controller-manager.kubeconfig").write_text(kubeconfig(pki, "controller-manager", name, server))
    (folder / "audit-policy.json").write_text(
        json.dumps(
            {
                "apiVersion": "audit.k8s.io/v1",
                "kind": "Policy",
                "omitStages": ["RequestReceived"],
                "rules": [{"level": "Metadata"}],
            }
        )
    )


def as_admin(folder: Path, server_port: int) -> Asker:
    pki = folder / "pki"
    tls = ssl.create_default_context(cafile=pki / "ca.crt")
    tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return Asker(server_port, tls)


def components(
    folder: Path, programs: dict[str, str], etcd_port: int, api: Asker, node_address: str = ""
) -> list[Component]:
    """In the order of their start."""
    pki, etcd_url = folder / "pki", f"http://{HOST}:{etcd_port}"
    if node_address:
        where = [
            "--bind-address=0.0.0.0",  # of a network namespace without a way out
            f"--advertise-address={node_address}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/apiserver-to-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-to-kubelet.key",
            "--allow-privileged",
        ]
    else:
        where = [
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",  # a loopback address may not stand in an Endpoints object
        ]
    return [
        Component(
            "etcd",
            [
                programs["etcd"],
                f"--data-dir={folder}/etcd",
                f"--listen-client-urls={etcd_url}",
                f"--advertise-client-urls={etcd_url}",
                f"--listen-peer-urls=http://{HOST}:0",
                "--unsafe-no-fsync",  # the data goes with the cluster: it need not outlive a power cut
            ],
            lambda: Asker(etcd_port).get("/health") is not None,
        ),
        Component(
            "kube-apiserver",
            [
                programs["kube-apiserver"],
                f"--etcd-servers={etcd_url}",
                *where,
                f"--secure-port={api.port}",
                f"--tls-cert-file={pki}/apiserver.crt",
                f"--tls-private-key-file={pki}/apiserver.key",
                f"--client-ca-file={pki}/ca.crt",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                "--shutdown-send-retry-after",  # else a stop waits for open watches, half a minute and more
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-signing-key-file={pki}/service-accounts.key",
                f"--service-account-key-file={pki}/service-accounts.crt",
                f"--audit-policy-file={folder}/audit-policy.json",
                f"--audit-log-path={folder}/audit.log",
                "--audit-log-maxsize=100000",  # in MB; by default a second file begins after 100
            ],
            lambda: api.get("/readyz") is not None,
        ),
        Component(
            "kube-controller-manager",
            [
                programs["kube-controller-manager"],
                f"--kubeconfig={pki}/controller-manager.kubeconfig",
                f"--controllers={'*' if node_address else ','.join(CONTROLLERS)}",
                "--use-service-account-credentials",
                "--secure-port=0",
                "--leader-elect=false",  # with a lease to lose, it would end while the API server is stopped
                f"--service-account-private-key-file={pki}/service-accounts.key",
                f"--root-ca-file={pki}/ca.crt",
            ],
            lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None,
        ),
    ]
