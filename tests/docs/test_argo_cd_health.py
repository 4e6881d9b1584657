"""The health check for Argo CD, in the Lua that Argo CD has."""

from typing import Any

import pytest
from harness import Cluster
from lupa.lua51 import LuaRuntime
from pages import OBJECTS

[SCRIPT] = [
    each["data"]["resource.customizations.health.ses-smtp.dev_SesSmtpCredential"]
    for _, each in OBJECTS
    if each["kind"] == "ConfigMap"
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


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        ({"observedGeneration": 2, "conditions": READY}, "Healthy", "about Synced"),
        ({"observedGeneration": 2, "conditions": WAITING}, "Progressing", "SourceNotFound: about SourceNotFound"),
        ({"observedGeneration": 2, "conditions": WAITING[::-1]}, "Progressing", "SourceNotFound: about SourceNotFound"),
        ({"observedGeneration": 2, "conditions": STALLED}, "Degraded", "TargetConflict: about TargetConflict"),
        ({"observedGeneration": 2, "conditions": STALLED[::-1]}, "Degraded", "TargetConflict: about TargetConflict"),
        # Of an earlier spec: says nothing about this one, neither good nor bad.
        ({"observedGeneration": 1, "conditions": READY}, "Progressing", "the operator has not looked at it yet"),
        ({"observedGeneration": 1, "conditions": STALLED}, "Progressing", "the operator has not looked at it yet"),
        ({"observedGeneration": 2, "conditions": []}, "Progressing", "the operator has not looked at it yet"),
        ({"observedGeneration": 2}, "Progressing", "the operator has not looked at it yet"),
        (None, "Progressing", "the operator has not looked at it yet"),
    ],
)  # fmt: skip
def test_health(status: dict[str, Any] | None, expected: str, message: str) -> None:
    resource = {"metadata": {"generation": 2}} | ({} if status is None else {"status": status})
    assert health(resource) == (expected, message)


def test_health_of_an_object_that_nobody_has_looked_at(cluster: Cluster) -> None:
    body = {"metadata": {"name": "unseen"}, "spec": {"source": {"secretName": "iam"}}}
    created = cluster.api.create("SesSmtpCredential", body, "default")
    assert health(created) == ("Progressing", "the operator has not looked at it yet")
