"""spec.rolloutRestartTargets: what reads its variables at the start is started again after a rotation."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import REGION, World
from node import CHART, NAME, NAMESPACE, Mail, Node, copy_program
from oracle import Key, plain

VALUES = ("--set=rolloutRestart.enabled=true",)


@pytest.fixture(scope="module")
def operator(node: Node) -> Iterator[Node]:
    with node.operator(1, *VALUES):
        yield node


def create(world: World, key: Key, name: str, *restarted: str) -> None:
    """Of format Env, for Deployments to be restarted."""
    world.write_source(plain(key, region=REGION), f"{name}-iam")
    targets = [{"kind": "Deployment", "name": each} for each in restarted]
    more = {"rolloutRestartTargets": targets} if targets else {}
    world.create_credential(name, source=f"{name}-iam", target={"format": "Env"}, **more)
    world.wait_synced(name)


def replica_sets(world: World, deployment: str) -> list[str]:
    """All there ever were: each restart makes one."""
    found = world.api.list("ReplicaSet", world.namespace, labelSelector=f"app={deployment}")
    return [one["metadata"]["name"] for one in found]


def rolled_out(world: World, deployment: str) -> None:
    """And the pods before are gone."""
    here = f"--namespace={world.namespace}"
    world.cluster.kubectl("rollout", "status", here, f"deployment/{deployment}", "--timeout=50s")
    pods = "get", "pods", here, f"--selector=app={deployment}", "--output=name"
    world.wait_for("one pod is left", lambda: len(world.cluster.kubectl(*pods).stdout.split()) == 1, 30)


def mails(mail: Mail, key: Key) -> int:
    return sum(one["user"] == key.id for one in mail.log("mail"))


def test_restarted_once_for_a_rotation_and_for_nothing_else(operator: Node, world: World, mail: Mail) -> None:
    """Not at the first sync, nor when the operator starts, nor at a helm upgrade. A restart comes seconds
    after its cause: that of the rotation, which is the last, would come after any other."""
    old, new, others = Key.new(), Key.new(), Key.new()
    mail.accept(old)
    create(world, old, "mail", "send-mail")
    create(world, others, "idle", "send-idle")
    mail.deploy_client(world, "mail")
    mail.deploy_client(world, "idle", replicas=0)
    world.wait_for("a mail with the old pair", lambda: mails(mail, old), 30)
    operator.kubectl("rollout", "restart", f"--namespace={NAMESPACE}", f"deployment/{NAME}")
    operator.kubectl("rollout", "status", f"--namespace={NAMESPACE}", f"deployment/{NAME}", "--timeout=50s")
    operator.wait_operator(1)
    operator.helm(
        "upgrade", NAME, CHART, f"--namespace={NAMESPACE}", "--set=replicaCount=1", *VALUES, "--wait"
    )
    operator.leader()
    world.settle()

    mail.accept(old, new)
    world.write_source(plain(new, region=REGION), "mail-iam")
    world.wait_for("a mail with the new pair", lambda: mails(mail, new), 60)
    rolled_out(world, "send-mail")
    mail.accept(new)
    before = mails(mail, new)
    world.wait_for("one more, without the old key", lambda: mails(mail, new) > before, 30)
    assert [one for one in mail.log("refused") if one["user"] in (old.id, new.id)] == []
    assert world.events(reason="RestartTriggered")

    operator.kubectl("delete", "pod", operator.leader(), f"--namespace={NAMESPACE}", "--timeout=30s")
    operator.wait_operator(1)
    operator.leader()
    world.settle()
    assert len(replica_sets(world, "send-mail")) == 2
    assert len(replica_sets(world, "send-idle")) == 1
    [rollout] = world.credential()["status"]["rollouts"]
    assert "restartedAt" in rollout and "reason" not in rollout  # none is due


def plugin(node: Node, folder: Path, *args: Any) -> subprocess.CompletedProcess:
    """`kubectl ses-smtp …`, with the program of the image."""
    return subprocess.run(
        [node.info["kubectl"], "ses-smtp", *map(str, args)],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(node.kubeconfig),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_doctor_as_a_plugin_finds_the_pod_with_the_old_pair(
    operator: Node, world: World, mail: Mail, tmp_path: Path
) -> None:
    """And what it tells to do helps."""
    [pod] = operator.wait_operator(1)
    copy_program(operator, pod, tmp_path / "kubectl-ses_smtp")
    (tmp_path / "kubectl").symlink_to(operator.info["kubectl"])
    old, new = Key.new(), Key.new()
    mail.accept(old, new)
    create(world, old, "mail")
    mail.deploy_client(world, "mail")
    rolled_out(world, "send-mail")
    here = "mail", f"--namespace={world.namespace}"
    done = plugin(operator, tmp_path, "doctor", *here)
    assert done.returncode == 0, done.stdout + done.stderr

    world.write_source(plain(new, region=REGION), "mail-iam")
    world.wait_event("Rotated")
    done = plugin(operator, tmp_path, "doctor", *here, "--output=json")
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["firstWrong"] == "pods"
    [wrong] = [step for step in told["steps"] if step["result"] == "wrong"]
    assert wrong["details"] == ["deployment/send-mail: 1 pod, envFrom in container python"]

    # Times have whole seconds: a pod that starts in that of the rotation counts as one from before.
    rotated = datetime.fromisoformat(world.credential()["status"]["lastRotationTime"])
    world.wait_for("the next second", lambda: datetime.now(UTC) >= rotated + timedelta(seconds=1))
    operator.kubectl(*shlex.split(wrong["command"])[1:])
    rolled_out(world, "send-mail")
    mail.accept(new)
    done = plugin(operator, tmp_path, "doctor", *here)
    assert done.returncode == 0, done.stdout + done.stderr
    status = plugin(operator, tmp_path, "status", *here)
    assert status.returncode == 0 and "Synced" in status.stdout
