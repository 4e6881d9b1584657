"""The commands of people, run as a user with the rights that a test gives, and pods for them to find."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BINARY, Cluster, World, binding

from kube import Object

VIEW = {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials"], "verbs": ["get", "list"]}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
REPLICA_SETS = {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]}
LEASES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]}
ALL = [VIEW, SECRETS, PODS, REPLICA_SETS]


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Person:
    """A user at a terminal, or one whose output goes to a file."""

    kubeconfig: Path
    namespace: str

    def run(self, *args: str, **environment: str) -> Ran:
        done = subprocess.run(
            [BINARY, *args],
            env={"HOME": "/nonexistent", "PATH": os.environ["PATH"], "KUBECONFIG": str(self.kubeconfig)}
            | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def status(self, *args: str, **environment: str) -> Ran:
        return self.run("status", "--namespace", self.namespace, *args, **environment)

    def doctor(self, *args: str, **environment: str) -> Ran:
        return self.run("doctor", "--namespace", self.namespace, *args, **environment)

    def steps(self, *args: str) -> dict[str, Object]:
        """What doctor says, by step."""
        ran = self.doctor(*args, "--output", "json")
        assert ran.err == ""
        return {one["step"]: one for one in ran.json["steps"]}


def person(world: World, folder: Path, *rules: Object, cluster_wide: bool = False) -> Person:
    """A user who may do that in the namespace, or in all, and nothing else."""
    kind = "ClusterRole" if cluster_wide else "Role"
    user = f"person-of-{world.namespace}"
    where = None if cluster_wide else world.namespace
    world.api.create(kind, {"metadata": {"name": user}, "rules": list(rules)}, where)
    world.api.create(f"{kind}Binding", binding(kind, user, user), where)
    return Person(world.cluster.kubeconfig_of(user, folder), world.namespace)


def admin(cluster: Cluster, namespace: str) -> Person:
    return Person(cluster.kubeconfig, namespace)


# ---- pods, which no node runs ---------------------------------------------------------------------------


def env(secret: str = "mail", key: str = "password") -> Object:
    return {"env": [{"name": "SMTP_PASSWORD", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}]}


def files(**mount: str) -> Object:
    return {"volumeMounts": [{"name": "smtp", "mountPath": "/run/smtp"} | mount]}


def run_pod(
    world: World, name: str, container: Object, started: str, owner: Object | None = None, **spec: Any
) -> None:
    """A pod whose kubelet says that it took it at that time."""
    metadata: Object = {"name": name}
    if owner:
        reference = {field: owner["metadata"][field] for field in ("name", "uid")}
        metadata["ownerReferences"] = [
            {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True} | reference
        ]
        metadata["labels"] = owner["spec"]["selector"]["matchLabels"]  # or its controller lets it go
    volumes = [{"name": "smtp", "secret": {"secretName": "mail"}}]
    body = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "app", "image": "app"} | container], "volumes": []} | spec,
    }
    if "volumeMounts" in container:
        body["spec"]["volumes"] = volumes
    world.api.create("Pod", body, world.namespace)
    status = {"status": {"phase": "Running", "startTime": started}}
    world.api.patch("Pod", name, status, world.namespace, sub="status")


def workload(world: World, kind: str, name: str, owner: Object | None = None) -> Object:
    """Of the group apps, with no pods of its own making; its controller leaves those that it gets alone."""
    labels = owner["spec"]["selector"]["matchLabels"] if owner else {"app": name}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "app"}]},
        },
    }
    metadata: Object = {"name": name, "labels": labels}
    if owner:
        reference = {field: owner["metadata"][field] for field in ("name", "uid")}
        metadata["ownerReferences"] = [
            {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True} | reference
        ]
    if kind != "DaemonSet":
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return world.api.create(kind, {"metadata": metadata, "spec": spec}, world.namespace)
