"""The chart with two replicas on a node, and mail that is sent with what it makes."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path

import pytest
from harness import REGION, World, condition, data_of, wait_for
from node import HOST, NAME, NAMESPACE, Mail, Node, memory_of
from oracle import Key, plain, target_data

from kube import Object

Tell = Callable[[str], None]
FOREIGN, FOREIGN_SIZE = 300, 512 * 1024
LIMIT = 64  # MiB


def restarts(pods: list[Object]) -> dict[str, int]:
    return {
        pod["metadata"]["name"]: status["restartCount"]
        for pod in pods
        for status in pod["status"]["containerStatuses"]
    }


def assert_never_restarted(node: Node) -> None:
    pods = node.operator_pods()
    assert set(restarts(pods).values()) == {0}, node.describe()
    assert [pod["status"]["containerStatuses"][0]["lastState"] for pod in pods] == [{}] * len(pods)


def wait_mail(world: World, mail: Mail, key: Key, mode: str, seconds: float = 60) -> Object:
    """The first mail that was sent with that key."""

    def probe() -> Object | None:
        return next((one for one in mail.log("mail") if (one["user"], one["tls"]) == (key.id, mode)), None)

    return world.wait_for(f"mail is sent with {key.id} by {mode}", probe, seconds)


def test_two_replicas_of_which_one_leads(operator: Node) -> None:
    pods = operator.operator_pods()
    leader = operator.leader()
    [standby] = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"] != leader]

    def leads(pod: str) -> str:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"
        lines = operator.kubectl("get", f"--raw={path}").stdout.splitlines()
        return next(line for line in lines if line.startswith("leader_election_master_status")).split()[-1]

    assert (leads(leader), leads(standby)) == ("1", "0")
    enforced = operator.api.get("Namespace", NAMESPACE)["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("mode", "endpoint", "port"),
    [("starttls", {}, "587"), ("implicit", {"port": 465}, "465")],
    ids=["starttls", "implicit"],
)
def test_pod_sends_mail(
    operator: Node, world: World, mail: Mail, mode: str, endpoint: dict[str, int], port: str
) -> None:
    """With nothing but the files it mounts: host, port, user name and password."""
    key = Key.new()
    mail.accept(key)
    _, target = world.synced(key, **({"endpoint": endpoint} if endpoint else {}))
    assert (data_of(target)["host"], data_of(target)["port"]) == (HOST, port)
    mail.start_client(world, "mail")
    sent = wait_mail(world, mail, key, mode)
    assert (sent["region"], sent["from"], sent["to"]) == (
        REGION,
        "shop@example.com",
        ["customer@example.com"],
    )
    assert [one for one in mail.log("refused") if one["user"] == key.id] == []


def test_running_pod_follows_rotations(operator: Node, world: World, mail: Mail, tell: Tell) -> None:
    """The same pod, which is not restarted. The old key is revoked once the target has followed."""
    keys = [Key.new() for _ in range(4)]
    mail.accept(keys[0])
    world.synced(keys[0])
    mail.start_client(world, "mail")
    wait_mail(world, mail, keys[0], "starttls")
    before = world.api.get("Pod", "send-mail", world.namespace)
    tell("rotations (kubelet's syncFrequency is 5 s here, a minute by default):")
    for old, new in pairwise(keys):
        mail.accept(old, new)
        began = time.monotonic()
        world.write_source(plain(new, region=REGION))
        world.wait_for(
            "the target follows", lambda new=new: data_of(world.secret()) == target_data(new, REGION)
        )
        followed = time.monotonic() - began
        mail.accept(new)
        wait_mail(world, mail, new, "starttls")
        sent = time.monotonic() - began
        tell(f"  target after {followed:.2f} s, first mail with the new login after {sent:.1f} s")
    after = world.api.get("Pod", "send-mail", world.namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert restarts([after]) == {"send-mail": 0}
    ids = [key.id for key in keys]
    users = [one["user"] for one in mail.log("mail") if one["user"] in ids]
    assert users == sorted(users, key=ids.index), "a mail went out with an old login after a new one"


def test_leader_goes_in_the_middle_of_200_rotations(operator: Node, world: World, tell: Tell) -> None:
    keys = {f"mail-{number}": Key.new() for number in range(200)}
    world.create_many(keys)
    world.wait_all_synced(keys)
    rotated = {name: Key.new() for name in keys}
    leader, began = operator.leader(), time.monotonic()
    world.rotate_many(dict(islice(rotated.items(), 100)))
    operator.api.delete("Pod", leader, NAMESPACE)
    world.rotate_many(dict(islice(rotated.items(), 100, None)))
    world.wait_all_synced(rotated, 60)
    took = time.monotonic() - began
    tell(f"200 rotations, the leader deleted after 100: all targets right after {took:.1f} s")
    assert operator.leader() != leader

    def not_ready() -> list[str]:
        return [
            one["metadata"]["name"]
            for one in world.api.list("SesSmtpCredential", world.namespace)
            if condition(one, "Ready").get("status") != "True"
        ]

    wait_for("every credential says that it is ready", lambda: not not_ready(), 15, lambda: str(not_ready()))
    operator.wait_operator(2)
    assert_never_restarted(operator)


def test_memory_limit_holds_with_large_secrets_of_others(operator: Node, world: World, tell: Tell) -> None:
    """The chart's default, in force. They are there when a pod starts, and they come while it runs."""
    filling = "x" * FOREIGN_SIZE

    def create(number: int) -> None:
        body = {"metadata": {"name": f"foreign-{number}"}, "stringData": {"filling": filling}}
        world.api.create("Secret", body, world.namespace)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(FOREIGN)))
    world.settle()
    tell(f"{FOREIGN} Secrets of {FOREIGN_SIZE >> 10} KiB:")

    def measure(when: str) -> None:
        leader = operator.leader()
        for pod in operator.operator_pods():
            name, sizes = pod["metadata"]["name"], memory_of(operator, pod)
            figures = ", ".join(f"{what} {size:.1f} MiB" for what, size in sizes.items())
            tell(f"  {when}, the {'leader' if name == leader else 'standby'}: {figures}")
            assert sizes["limit"] == LIMIT and sizes["peak"] < LIMIT, figures

    measure("came while it ran")
    operator.kubectl("rollout", "restart", f"deployment/{NAME}", f"--namespace={NAMESPACE}")
    operator.kubectl("rollout", "status", f"deployment/{NAME}", f"--namespace={NAMESPACE}", "--timeout=60s")
    operator.wait_operator(2)
    world.settle()
    measure("were there at its start")
    assert_never_restarted(operator)


def test_network_policy_selects_the_pods_and_their_ports(operator: Node) -> None:
    """As written. Nothing on this node enforces it."""
    [policy] = operator.objects("networkpolicies", namespace=NAMESPACE)
    assert policy["spec"] == {
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME},
        },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [port("metrics"), port("health")]}],
        "egress": [
            {"ports": [port(53, "UDP"), port(53)]},
            {"ports": [port(443), port(6443)]},
        ],
    }
    labels = [pod["metadata"]["labels"] for pod in operator.operator_pods()]
    assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= each.items() for each in labels)
    [ports] = [
        {one["name"] for one in container["ports"]}
        for container in operator.operator_pods()[0]["spec"]["containers"]
    ]
    assert ports == {"metrics", "health"}


def port(number: int | str, protocol: str = "TCP") -> Mapping[str, int | str]:
    return {"port": number, "protocol": protocol}


def test_helm_test_passes(operator: Node) -> None:
    operator.helm("test", NAME, f"--namespace={NAMESPACE}", "--timeout=60s")

    def left() -> list[str]:
        found = operator.kubectl("get", "pods,secrets,sesc", f"--namespace={NAMESPACE}", "--output=name")
        return [name for name in found.stdout.split() if name.endswith(("-test", "-test-iam"))]

    wait_for("nothing is left of it", lambda: not left(), 30, lambda: str(left()))


def test_pod_ends_in_peace(operator: Node, tmp_path: Path, tell: Tell) -> None:
    """SIGTERM: it gives the lease away, and exits with 0 long before it would be killed."""
    leader = operator.leader()
    with watched_exit_code(operator, leader, tmp_path / "watched") as exit_code:
        began = time.monotonic()
        operator.kubectl("delete", "pod", leader, f"--namespace={NAMESPACE}", "--timeout=20s")
        ended = time.monotonic() - began
        next_leader = operator.leader()
        led = time.monotonic() - began
        assert exit_code() == "0"
    tell(f"the leader deleted: gone after {ended:.1f} s, another leads after {led:.1f} s at the latest")
    # A lease that is not given away lasts 15 s from its last renewal, which is 2 s ago at most.
    assert next_leader != leader and led < 8
    operator.wait_operator(2)


@contextmanager
def watched_exit_code(node: Node, pod: str, output: Path) -> Iterator[Callable[[], str]]:
    """The kubelet tells of it in the pod's last status, just before the pod is gone."""
    what = "--output=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}{'\\n'}"
    command = [node.info["kubectl"], f"--kubeconfig={node.kubeconfig}", "get", "pod", pod, "--watch", what]
    with output.open("wb") as file:
        watch = subprocess.Popen([*command, f"--namespace={NAMESPACE}"], stdout=file)
    try:
        wait_for("the watch has begun", lambda: output.read_text())
        yield lambda: wait_for("there is an exit code", lambda: output.read_text().split())[-1]
    finally:
        watch.terminate()
        watch.wait()
