"""The health check for Argo CD, in the Lua that Argo CD has."""

from typing import Any

import pytest
from harness import Cluster
from lupa.lua51 import LuaRuntime
from pages import OBJECTS

[SCRIPT] = [
    each["data"]["resource.customizations.health.ses-smtp.dev_SesSmtpCredential"]
    for _, each in OBJECTS
    if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "argocd-cm"
]


def health(resource: dict[str, Any]) -> tuple[str, str]:
    lua = LuaRuntime()
    lua.globals().obj = lua.table_from(resource, recursive=True)
    answer = lua.execute(SCRIPT)
    return answer["status"], answer["message"]


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"about {reason}",
        "observedGeneration": 2,
    }


READY = [condition("Ready", "True", "Synced")]
WAITING = [condition("Ready", "False", "SourceNotFound"), condition("Reconciling", "True", "SourceNotFound")]
STALLED = [condition("Ready", "False", "TargetConflict"), condition("Stalled", "True", "TargetConflict")]


SUSPENDED = [condition("Suspended", "True", "Suspended")]
PAUSED = ("Suspended", "about Suspended")
UNSEEN = ("Progressing", "the operator has not looked at it yet")


@pytest.mark.parametrize(
    ("generation", "conditions", "expected"),
    [
        (2, READY, ("Healthy", "about Synced")),
        (2, WAITING, ("Progressing", "SourceNotFound: about SourceNotFound")),
        (2, WAITING[::-1], ("Progressing", "SourceNotFound: about SourceNotFound")),
        (2, STALLED, ("Degraded", "TargetConflict: about TargetConflict")),
        (2, STALLED[::-1], ("Degraded", "TargetConflict: about TargetConflict")),
        # Whatever it was before: it does not follow its source, so it is neither healthy nor on its way.
        (2, READY + SUSPENDED, PAUSED),
        (2, STALLED + SUSPENDED, PAUSED),
        (2, SUSPENDED + WAITING, PAUSED),
        (2, [condition("Ready", "Unknown", "Suspended"), *SUSPENDED], PAUSED),
        (1, READY + SUSPENDED, UNSEEN),
        # Of an earlier spec: says nothing about this one, neither good nor bad.
        (1, READY, UNSEEN),
        (1, STALLED, UNSEEN),
        (2, [], UNSEEN),
        (2, None, UNSEEN),
    ],
)
def test_health(generation: int, conditions: list[dict[str, Any]] | None, expected: tuple[str, str]) -> None:
    status = {"observedGeneration": generation, "conditions": conditions}
    if conditions is None:
        del status["conditions"]
    assert health({"metadata": {"generation": 2}, "status": status}) == expected


def test_health_without_a_status() -> None:
    assert health({"metadata": {"generation": 1}}) == UNSEEN


def test_health_of_an_object_that_nobody_has_looked_at(cluster: Cluster) -> None:
    body = {"metadata": {"name": "unseen"}, "spec": {"source": {"secretName": "iam"}}}
    created = cluster.api.create("SesSmtpCredential", body, "default")
    assert health(created) == UNSEEN
