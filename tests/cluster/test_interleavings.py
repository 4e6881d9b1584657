"""People edit sources, targets and credentials at random while controllers end, start, hang and lose their
connections; rules.py says what may be seen of it.

    make interleavings SECONDS=300 SEED=4711

The seed decides which operations come in which order, not when they come: a failure need not come back with
it. All that happened is judged from the recorded versions, so the message has what one needs.
"""

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import OPERATOR, Cluster, Controller, wait_for
from history import History
from interleavings import CREDENTIALS, Chaos, Replica
from proxy import Proxy
from rules import Rules

SECONDS = float(os.environ.get("SECONDS") or 30)
SEED = int(os.environ.get("SEED") or secrets.randbelow(10**6))
NAMESPACES = 3
SETTLE_SECONDS = 90  # a lease, a frozen watch, back-off, and the garbage collector after all of them


@pytest.fixture
def proxies(cluster: Cluster, tmp_path: Path) -> Iterator[list[Proxy]]:
    kubeconfig = cluster.kubeconfig_of(OPERATOR, tmp_path)
    authority = Path(cluster.info["caKeyFile"]).parent
    with Proxy.reading(kubeconfig, authority) as one, Proxy.reading(kubeconfig, authority) as other:
        for name, proxy in (("one", one), ("other", other)):
            (folder := tmp_path / name).mkdir()
            proxy.kubeconfig = proxy.detour(cluster.kubeconfig_of(OPERATOR, folder))
        yield [one, other]


def test_random_interleavings(
    cluster: Cluster,
    proxies: list[Proxy],
    worlds: Iterator[object],
    own_controller: Callable[..., Controller],
) -> None:
    print(f"seed {SEED}, {SECONDS:g} s")
    namespaces = [next(worlds).namespace for _ in range(NAMESPACES)]
    replicas: list[Replica] = []
    chaos = Chaos(SEED, cluster, namespaces, replicas)
    for name, proxy in zip(("replica a", "replica b"), proxies, strict=True):
        controller = own_controller(
            "--watch-timeout=2s", *Controller.QUICK_LEASE, kubeconfig=proxy.kubeconfig
        )
        replicas.append(Replica(name, controller, proxy, chaos.deeds))
    try:
        with History(cluster, set(namespaces)) as history:
            chaos.set_up()
            chaos.run(SECONDS)
            chaos.calm()
            settle(cluster, history, chaos, "after the storm")
            finale(cluster, history, chaos)
            rules = judge(history, chaos)
    except AssertionError as failure:
        last = "\n".join(chaos.operations[-40:])
        raise AssertionError(f"SEED={SEED}: {failure}\nthe last operations:\n{last}") from failure
    finally:
        chaos.calm()
    print(
        f"{len(chaos.operations)} operations; {len(rules.versions)} versions, none missed; "
        f"{rules.checked} of targets by controllers, {rules.repairs} of them after a hand's; "
        f"{rules.late_writes} old ones came late"
    )
    assert rules.checked > len(CREDENTIALS) and rules.repairs, "it was no test"


def judge(history: History, chaos: Chaos) -> Rules:
    history.assert_complete()
    rules = Rules(history.versions, chaos.deeds)
    found = list(rules.violations())
    assert not found, f"{len(found)} times against the rules:\n" + "\n".join(found[:10])
    return rules


def settle(cluster: Cluster, history: History, chaos: Chaos, when: str) -> None:
    """Waits until all is as it has to be."""

    def wrong() -> list[str]:
        time.sleep(0.5)  # the proxies share a processor and an interpreter with the judge
        history.catch_up()
        rules = judge(history, chaos)
        secrets, credentials = (
            [one for world in chaos.worlds for one in cluster.api.list(kind, world.namespace)]
            for kind in ("Secret", "SesSmtpCredential")
        )
        return list(rules.shortcomings(secrets, credentials))

    mark = cluster.now()

    def detail() -> str:
        calls = Counter((*call.what, call.code) for call in cluster.calls(mark))
        return "\n".join([*wrong(), *map(Replica.describe, chaos.replicas), f"calls: {calls}"])

    wait_for(f"all is as it has to be, {when}", lambda: not wrong(), SETTLE_SECONDS, detail)


def finale(cluster: Cluster, history: History, chaos: Chaos) -> None:
    """Whatever state it came to, all of it still works: every source rotates, every target is edited, and
    what is suspended stays as it is until it no longer is."""
    suspended = {
        (world.namespace, one["metadata"]["name"]): world.secret(one["metadata"]["name"])
        for world in chaos.worlds
        for one in cluster.api.list("SesSmtpCredential", world.namespace)
        if one["spec"].get("suspend")
    }
    chaos.rotate_all()
    settle(cluster, history, chaos, "after a rotation of all")
    for (namespace, name), before in suspended.items():
        assert cluster.api.get("Secret", name, namespace) == before, f"{namespace}/{name} is suspended"
    chaos.resume_all()
    chaos.edit_all()
    settle(cluster, history, chaos, "after a hand in every target")
