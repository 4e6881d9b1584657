"""Of several operators one writes: rows 35 and 36."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from harness import (
    LEASE,
    LEASE_NAMESPACE,
    OPERATOR,
    REGION,
    Cluster,
    Controller,
    World,
    but_barriers,
    data_of,
    wait_for,
)
from oracle import Key, plain, target_data

from kube import Object

STANDBY = "ses-smtp-operator-standby"  # a second user, so that the audit log tells the two apart


@pytest.fixture(autouse=True)
def rights_of_the_standby(cluster: Cluster) -> None:
    cluster.grant_all(STANDBY)


def lease(cluster: Cluster) -> Object:
    found = cluster.api.get("Lease", LEASE, LEASE_NAMESPACE)
    assert found
    return found["spec"]


def steal(cluster: Cluster) -> Callable[[], None]:
    """Somebody else holds the lease, and never renews it."""
    theirs = {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 4}}
    cluster.api.patch("Lease", LEASE, theirs, LEASE_NAMESPACE)
    return lambda: None  # it runs out by itself


def deny(cluster: Cluster) -> Callable[[], None]:
    """The lease can be neither read nor written."""
    cluster.revoke_lease(OPERATOR)
    return lambda: cluster.grant_lease(OPERATOR)


@pytest.mark.parametrize("take", [steal, deny])
def test_lost_lease(
    world: World, own_controller: Callable[..., Controller], take: Callable[[Cluster], Callable[[], None]]
) -> None:
    """35 | operator loses its lease | no writes until it leads again, then what was missed | –"""
    cluster, old, new = world.cluster, Key.new(), Key.new()
    controller = own_controller(*Controller.QUICK_LEASE)
    world.synced(old)
    world.settle()
    pid, log, began = controller.pid, controller.log_size(), cluster.now()
    give_back = take(cluster)
    try:
        controller.wait_logged("lost the lease", since=log)
        mark = cluster.now()
        world.write_source(plain(new, region=REGION))
        assert data_of(world.secret()) == target_data(old, REGION)
    finally:
        give_back()
    assert data_of(world.wait_synced()[1]) == target_data(new, REGION)
    controller.wait_logged("became leader", since=log)
    assert controller.running and controller.pid == pid
    calls = cluster.calls(mark)
    led = next(at for at, call in enumerate(calls) if (*call.what, call.code) == ("update", "leases", 200))
    assert [call for call in calls[:led] if call.writes and call.resource != "leases"] == []
    assert [call for call in cluster.calls(began) if call.verb == "list"] == [], "its watches go on"


def test_only_the_leader_writes(world: World, own_controller: Callable[..., Controller]) -> None:
    """36, while both are well."""
    mark = world.cluster.now()
    leader = own_controller()
    leader.wait_logged("became leader")
    holder = lease(world.cluster)["holderIdentity"]
    standby = own_controller(user=STANDBY)
    wait_for("the standby is ready", lambda: standby.health("/readyz") == 200, detail=standby.tail)
    world.synced(Key.new())
    world.settle()
    assert lease(world.cluster)["holderIdentity"] == holder
    calls = but_barriers(world.cluster.calls(mark, STANDBY))
    assert [call for call in calls if call.writes] == []
    assert [call for call in calls if call.what == ("get", "secrets")] == []
    assert standby.metrics().value("leader_election_master_status", name=LEASE) == 0
    assert leader.metrics().value("leader_election_master_status", name=LEASE) == 1


@pytest.mark.parametrize(
    "how, flags, seconds",
    [
        # A lease that is given back the standby hears of; else it would ask again every two seconds.
        (signal.SIGTERM, (), 1),
        # The lease has to run out, and the next attempt comes up to 1.2 s later.
        (signal.SIGKILL, Controller.QUICK_LEASE, 4 + 2),
    ],
    ids=["SIGTERM", "SIGKILL"],
)
def test_leader_ends_amid_rotations(
    world: World,
    own_controller: Callable[..., Controller],
    how: signal.Signals,
    flags: tuple[str, ...],
    seconds: float,
) -> None:
    """36 | two operators, the leader ends | nothing is lost: the other writes within a second of a SIGTERM,
    within the lease time of a crash | –"""
    leader = own_controller(*flags)
    leader.wait_logged("became leader")
    standby = own_controller(*flags, user=STANDBY)
    names = [f"mail-{number}" for number in range(100)]
    keys = {name: Key.new() for name in names}
    world.create_many(keys)
    world.wait_all_synced(keys)
    wait_for("the standby is ready", lambda: standby.health("/readyz") == 200, detail=standby.tail)
    mark = world.cluster.now()

    def rotate_all_twice() -> None:
        for _ in range(2):
            keys.update({name: Key.new() for name in names})
            world.rotate_many(keys)

    def targets_written(user: str) -> int:
        return sum(call.what == ("patch", "secrets") for call in world.cluster.calls(mark, user))

    with ThreadPoolExecutor(1) as pool:
        rotations = pool.submit(rotate_all_twice)
        wait_for("the leader is at it", lambda: targets_written(OPERATOR) >= 20)
        signalled = datetime.now().astimezone()
        leader.stop(how)
        took_over = datetime.fromisoformat(standby.wait_logged("became leader")["ts"])
        rotations.result()
    world.wait_all_synced(keys)
    pause = (took_over - signalled).total_seconds()
    first, second = targets_written(OPERATOR), targets_written(STANDBY)
    print(f"{how.name}: the other leads after {pause:.2f} s; {first} targets written before, {second} after")
    assert second > 0
    assert pause < seconds
