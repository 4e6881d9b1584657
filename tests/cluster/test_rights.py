"""Rights that are missing, and namespaces that are not to be watched: row 33."""

from collections.abc import Callable, Iterator

from harness import MANAGER, REGION, Controller, World, binding, condition, data_of, first_complaint
from oracle import Key, plain, target_data

LIMITED = "ses-smtp-operator-limited"  # a user without the ClusterRole


def grant(world: World) -> None:
    world.api.create("RoleBinding", binding("ClusterRole", MANAGER, LIMITED), world.namespace)


def test_namespace_without_rights(worlds: Iterator[World], own_controller: Callable[..., Controller]) -> None:
    """33 | no right on a namespace's Secrets | none, or untouched | Ready False `Forbidden`, Reconciling;
    other namespaces are not affected"""
    good, poor, closed = next(worlds), next(worlds), next(worlds)
    good.cluster.grant_lease(LIMITED)
    grant(good)
    rules = [
        {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials"], "verbs": ["list", "watch"]},
        {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    poor.api.create("Role", {"metadata": {"name": "no-secrets"}, "rules": rules}, poor.namespace)
    poor.api.create("RoleBinding", binding("Role", "no-secrets", LIMITED, name="no-secrets"), poor.namespace)
    key = Key.new()
    for world in (good, poor, closed):
        world.write_source(plain(key, region=REGION))
        world.create_credential()
    names = ",".join(world.namespace for world in (good, poor, closed))
    controller = own_controller("--watch-namespaces", names, user=LIMITED)
    assert data_of(good.wait_synced()[1]) == target_data(key, REGION)
    message = condition(poor.wait_not_ready("Forbidden"), "Ready")["message"]
    assert "secrets" in message.lower()
    assert poor.secret() is None
    first_complaint(controller, closed.namespace)
    assert closed.credential()["status"] == {"observedGeneration": -1}
    for world in (poor, closed):
        grant(world)
        assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)


def test_only_named_namespaces_are_watched(
    worlds: Iterator[World], own_controller: Callable[..., Controller]
) -> None:
    """33, the other side: what is not named is left alone though the rights are there."""
    mine, also_mine, theirs = next(worlds), next(worlds), next(worlds)
    for world in (theirs, mine, also_mine):
        world.write_source(plain(Key.new(), region=REGION))
        world.create_credential()
    own_controller("--watch-namespaces", f"{mine.namespace},{also_mine.namespace}")
    mine.wait_synced()
    also_mine.wait_synced()
    mine.settle()
    assert theirs.credential()["status"] == {"observedGeneration": -1}
    assert theirs.calls() == []
