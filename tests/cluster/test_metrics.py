"""What a monitoring system sees: /metrics, /healthz and /readyz."""

import time
from datetime import datetime

import pytest
from harness import REGION, Controller, World
from oracle import Key, plain

pytestmark = pytest.mark.usefixtures("controller")

# Those of controller-runtime and client-go, which people's dashboards know, and ours; each with labels.
NAMES = {
    "controller_runtime_reconcile_total": {"controller", "result"},
    "controller_runtime_reconcile_errors_total": {"controller"},
    "controller_runtime_terminal_reconcile_errors_total": {"controller"},
    "controller_runtime_reconcile_time_seconds_count": {"controller"},
    "controller_runtime_max_concurrent_reconciles": {"controller"},
    "controller_runtime_active_workers": {"controller"},
    "workqueue_depth": {"name"},
    "workqueue_adds_total": {"name"},
    "workqueue_queue_duration_seconds_count": {"name"},
    "workqueue_work_duration_seconds_count": {"name"},
    "workqueue_unfinished_work_seconds": {"name"},
    "workqueue_longest_running_processor_seconds": {"name"},
    "workqueue_retries_total": {"name"},
    "rest_client_requests_total": {"code", "host", "method"},
    "leader_election_master_status": {"name"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_virtual_memory_bytes": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
    "process_start_time_seconds": set(),
    "ses_smtp_credential_ready": {"namespace", "name"},
    "ses_smtp_credential_condition": {"namespace", "name", "type", "status", "reason"},
    "ses_smtp_credential_key_since_timestamp_seconds": {"namespace", "name"},
    "ses_smtp_credential_last_rotation_timestamp_seconds": {"namespace", "name"},
    "ses_smtp_credential_last_sync_timestamp_seconds": {"namespace", "name"},
    "ses_smtp_rotations_total": set(),
    "ses_smtp_rotation_lag_seconds_count": set(),
    "ses_smtp_watch_last_event_timestamp_seconds": {"resource"},
    "ses_smtp_hot_loop_throttled_total": set(),
    "ses_smtp_events_total": {"result"},
    "ses_smtp_verify_total": {"code", "reason"},
    "ses_smtp_verify_queue_depth": set(),
    "ses_smtp_build_info": {"version"},
}


def test_metrics_have_the_usual_names(world: World, controller: Controller) -> None:
    world.synced(Key.new())
    world.write_source(plain(Key.new(), region=REGION))
    world.wait_event("Rotated")
    metrics = controller.metrics()
    assert [name for name in NAMES if not metrics.find(name)] == []
    labels = {name: set(metrics.find(name)[0][0]) for name in NAMES}
    assert {name: found for name, found in labels.items() if not NAMES[name] <= found} == {}
    assert metrics.total("controller_runtime_max_concurrent_reconciles") == 8
    assert metrics.total("rest_client_requests_total", code="200", method="PATCH") > 0
    assert metrics.total("leader_election_master_status") == 1
    for name in ("process_start_time_seconds", "ses_smtp_watch_last_event_timestamp_seconds"):
        for _, value in metrics.find(name):
            assert time.time() - 24 * 3600 < value <= time.time() + 1, f"{name} is a time"


def test_metrics_follow_a_credential(world: World, controller: Controller) -> None:
    name = {"namespace": world.namespace, "name": "mail"}

    def wait_until(ready: float | None) -> None:
        def found() -> bool:
            return controller.metrics().value("ses_smtp_credential_ready", **name) == ready

        world.wait_for(f"ses_smtp_credential_ready is {ready}", found)

    def conditions() -> dict[str, tuple[str, str]]:
        found = controller.metrics().find("ses_smtp_credential_condition", **name)
        return {labels["type"]: (labels["status"], labels["reason"]) for labels, value in found if value == 1}

    world.create_credential()
    world.wait_not_ready("SourceNotFound")
    wait_until(ready=0)
    assert conditions()["Ready"] == ("False", "SourceNotFound")
    rotations = controller.metrics().total("ses_smtp_rotations_total")
    world.write_source(plain(Key.new(), region=REGION))
    world.wait_synced()
    wait_until(ready=1)
    assert conditions() == {"Ready": ("True", "Synced")}
    world.write_source(plain(Key.new(), region=REGION))
    world.wait_event("Rotated")
    metrics, status = controller.metrics(), world.wait_synced()[0]["status"]
    assert metrics.total("ses_smtp_rotations_total") == rotations + 1
    for series, moment in (("key_since", "keySince"), ("last_rotation", "lastRotationTime")):
        value = metrics.value(f"ses_smtp_credential_{series}_timestamp_seconds", **name)
        assert value == datetime.fromisoformat(status[moment]).timestamp()
    world.delete_credential()
    wait_until(ready=None)
    assert world.namespace not in controller.metrics().text


def test_health(world: World, controller: Controller) -> None:
    world.settle()
    for path, expected in {"/healthz": 200, "/readyz": 200, "/": 404, "/metrics": 404}.items():
        assert controller.health(path) == expected, path
    assert controller.get("metrics", "/healthz")[0] == 404
