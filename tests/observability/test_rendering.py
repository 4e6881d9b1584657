"""What the four templates for monitoring make of their values."""

import subprocess
from collections import Counter
from typing import Any

import pytest
import yaml
from chart import (
    ALL_ON,
    CHART,
    JOB,
    PROMETHEUS_RULE,
    SERVICE_MONITOR,
    HelmError,
    alerts,
    render,
    rendered,
    rules,
)
from harness import program

SERVICE = "Service/ses-smtp-operator-metrics"
MONITOR = "ServiceMonitor/ses-smtp-operator"
RULE = "PrometheusRule/ses-smtp-operator"
DASHBOARD = "ConfigMap/ses-smtp-operator-dashboard"
EVERYTHING = {SERVICE, MONITOR, RULE, DASHBOARD}

API_OF = {"serviceMonitor": (SERVICE_MONITOR, MONITOR), "prometheusRule": (PROMETHEUS_RULE, RULE)}
each_kind = pytest.mark.parametrize("block", API_OF)


def ours(objects: dict[str, Any]) -> set[str]:
    return EVERYTHING & set(objects)


def refused(*args: Any, **values: Any) -> str:
    with pytest.raises(HelmError) as refusal:
        render(*args, **values)
    return str(refusal.value)


def test_by_default_there_is_a_service_only() -> None:
    assert ours(render()) == {SERVICE}


def test_everything() -> None:
    assert ours(rendered()) == EVERYTHING


def test_no_metrics_nothing_to_watch() -> None:
    assert ours(render({"enabled": False})) == set()
    for block, values in ALL_ON.items():
        assert f"metrics.{block}.enabled: needs metrics.enabled" in refused({"enabled": False, block: values})


@each_kind
def test_skip_if_missing(block: str) -> None:
    api, name = API_OF[block]
    assert name not in render(ALL_ON, apis=())
    assert name in render(ALL_ON, apis=(api,))


@each_kind
def test_fail_if_missing(block: str) -> None:
    api, name = API_OF[block]
    values = {block: {"enabled": True, "renderMode": "failIfMissing"}}
    said = refused(values, apis=())
    assert f"metrics.{block}.enabled" in said and f"metrics.{block}.renderMode" in said
    assert "Prometheus Operator" in said and name.partition("/")[0] in said
    assert name in render(values, apis=(api,))
    assert name not in render({block: {"enabled": False, "renderMode": "failIfMissing"}}, apis=())


@each_kind
def test_always_render(block: str) -> None:
    _, name = API_OF[block]
    assert name in render({block: {"enabled": True, "renderMode": "alwaysRender"}}, apis=())


def test_service_is_what_the_monitor_selects() -> None:
    objects = rendered()
    service, monitor = objects[SERVICE], objects[MONITOR]["spec"]
    labels = service["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    [port], [endpoint] = service["spec"]["ports"], monitor["endpoints"]
    assert port["name"] == endpoint["port"]
    deployment = objects["Deployment/ses-smtp-operator"]["spec"]
    [container] = deployment["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports[port["targetPort"]] == 8080
    pod = deployment["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pod.items()
    others = [one for name, one in objects.items() if one["kind"] == "Service" and name != SERVICE]
    for other in others:
        assert not monitor["selector"]["matchLabels"].items() <= other["metadata"]["labels"].items()


def test_series_of_credentials_keep_their_namespace() -> None:
    [endpoint] = rendered()[MONITOR]["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("60s", "30s")


def test_two_installations_are_told_apart() -> None:
    """By the label job, in the series and in each alert."""
    for release, namespace in (
        ("ses-smtp-operator", "team-a"),
        ("ses-smtp-operator", "team-b"),
        ("x", "team-a"),
    ):
        objects = render(ALL_ON, release=release, namespace=namespace)
        [monitor] = [one for one in objects.values() if one["kind"] == "ServiceMonitor"]
        [rule] = [one for one in objects.values() if one["kind"] == "PrometheusRule"]
        job = f"{namespace}/{monitor['metadata']['name']}"
        [relabeling] = monitor["spec"]["endpoints"][0]["relabelings"]
        assert relabeling == {"action": "replace", "targetLabel": "job", "replacement": job}
        [group] = rule["spec"]["groups"]
        assert group["name"] == job
        for alert in group["rules"]:
            selectors = alert["expr"].count("{")
            assert selectors == alert["expr"].count(f'{{job="{job}"') > 0, alert["alert"]
            assert alert["labels"].get("namespace", namespace) == namespace


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "${" not in yaml.safe_dump(rendered()[RULE])


def test_alerts_are_complete() -> None:
    for name, alert in alerts(rendered()).items():
        assert alert["labels"]["severity"] in {"critical", "warning"}, name
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert alert["annotations"]["summary"].endswith("."), name


def test_runbook_url() -> None:
    url = "https://runbooks.example/ses/"
    for name, alert in alerts(render({"prometheusRule": {"enabled": True, "runbookUrl": url}})).items():
        assert alert["annotations"]["runbook_url"] == url + name
    for alert in alerts(render({"prometheusRule": {"enabled": True, "runbookUrl": ""}})).values():
        assert alert["annotations"].keys() == {"summary", "description"}


def test_key_max_age() -> None:
    alert = alerts(render({"prometheusRule": {"enabled": True, "keyMaxAgeDays": 30}}))["SesSmtpKeyTooOld"]
    assert alert["expr"].endswith("> 30 * 86400")
    assert "limit is 30 days" in " ".join(alert["annotations"]["description"].split())


def test_labels_of_alerts() -> None:
    values = {"enabled": True, "alertLabels": {"team": "mail", "severity": "page"}}
    plain = alerts(rendered())
    for name, alert in alerts(render({"prometheusRule": values})).items():
        assert alert["labels"] == plain[name]["labels"] | {"team": "mail", "severity": "page"}


def test_disabled_alerts() -> None:
    off = ["SesSmtpKeyTooOld", "SesSmtpHotLoop"]
    found = alerts(render({"prometheusRule": {"enabled": True, "disabledAlerts": off}}))
    assert set(found) == set(alerts(rendered())) - set(off)


def test_misspelt_disabled_alert() -> None:
    said = refused({"prometheusRule": {"enabled": True, "disabledAlerts": ["SesSmtpKeyToOld"]}})
    assert "SesSmtpKeyToOld" in said and "SesSmtpKeyTooOld" in said


def test_additional_rules() -> None:
    more = {"record": "ses_smtp:ready:ratio", "expr": "avg(ses_smtp_credential_ready)"}
    found = rules(render({"prometheusRule": {"enabled": True, "additionalRules": [more]}}))
    assert found == [*rules(rendered()), more]


def test_no_rules_no_object() -> None:
    every = list(alerts(rendered()))
    assert RULE not in render({"prometheusRule": {"enabled": True, "disabledAlerts": every}})


def test_alerts_without_series_are_left_out() -> None:
    every = set(alerts(rendered()))
    on = {"prometheusRule": {"enabled": True}}
    assert every - set(alerts(render({"perCredential": False} | on))) == {
        "SesSmtpCredentialNotReady",
        "SesSmtpKeyTooOld",
        "SesSmtpVerifyFailing",
        "SesSmtpVerifyUnknown",
        "SesSmtpRestartOverdue",
    }
    assert every - set(alerts(render(on, leaderElection={"enabled": False}))) == {"SesSmtpNoLeader"}


def test_alerts_need_the_namespaces_of_credentials() -> None:
    monitor = {"enabled": True, "honorLabels": False}
    said = refused({"serviceMonitor": monitor, "prometheusRule": {"enabled": True}})
    assert "metrics.serviceMonitor.honorLabels" in said
    assert ours(render({"serviceMonitor": monitor})) == {SERVICE, MONITOR}


def test_monitor_without_service() -> None:
    said = refused({"service": {"enabled": False}, "serviceMonitor": {"enabled": True}})
    assert "metrics.service.enabled" in said
    assert ours(render({"service": {"enabled": False}})) == set()


def test_own_relabelings_come_after_ours() -> None:
    relabelings = [{"action": "replace", "targetLabel": "cluster", "replacement": "blue"}]
    drop = [{"action": "drop", "sourceLabels": ["__name__"], "regex": "workqueue_.*"}]
    values = {
        "enabled": True,
        "relabelings": relabelings,
        "metricRelabelings": drop,
        "interval": "15s",
        "scrapeTimeout": "10s",
    }
    [endpoint] = render({"serviceMonitor": values})[MONITOR]["spec"]["endpoints"]
    assert endpoint["relabelings"][0]["replacement"] == JOB
    assert endpoint["relabelings"][1:] == relabelings
    assert endpoint["metricRelabelings"] == drop
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("15s", "10s")


@pytest.mark.parametrize(
    ("block", "name"),
    [("serviceMonitor", MONITOR), ("prometheusRule", RULE), ("grafanaDashboard", DASHBOARD)],
)
def test_metadata(block: str, name: str) -> None:
    values = {
        "enabled": True,
        "namespace": "monitoring",
        "labels": {"release": "prom"},
        "annotations": {"a": "b"},
    }
    found = render({block: values})[name]["metadata"]
    assert found["namespace"] == "monitoring"
    assert found["labels"]["release"] == "prom"
    assert found["labels"]["app.kubernetes.io/instance"] == "ses-smtp-operator"
    assert found["annotations"] == {"a": "b"}


def test_service_metadata() -> None:
    values = {"labels": {"team": "mail"}, "annotations": {"a": "b"}, "port": 9100}
    found = render({"port": 9090, "service": values})[SERVICE]
    assert found["metadata"]["labels"]["team"] == "mail"
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert [(port["port"], port["targetPort"]) for port in found["spec"]["ports"]] == [(9100, "metrics")]


def test_dashboard_is_found_by_the_sidecar() -> None:
    found = rendered()[DASHBOARD]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert list(found["data"]) == ["ses-smtp-operator.json"]
    assert (
        found["data"]["ses-smtp-operator.json"].strip()
        == (CHART / "files/dashboard.json").read_text().strip()
    )


def test_no_object_twice() -> None:
    done = subprocess.run(
        [program("helm"), "template", "x", CHART, "--set=metrics.serviceMonitor.enabled=true"]
        + [f"--api-versions={SERVICE_MONITOR}"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    count = Counter((one["kind"], one["metadata"]["name"]) for one in found)
    assert max(count.values()) == 1


def test_helm_lint() -> None:
    switches = [
        f"--set=metrics.{block}.enabled=true,metrics.{block}.renderMode=alwaysRender" for block in API_OF
    ]
    command = [
        program("helm"),
        "lint",
        "--strict",
        CHART,
        *switches,
        "--set=metrics.grafanaDashboard.enabled=true",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
