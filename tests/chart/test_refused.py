"""Values that cannot work are refused before anything is installed, with the name of the value."""

from typing import Any

import pytest

from charts import NAME, Object, nested, refusal, render, schema, template

BAD = {
    # value, with blanks behind it when there are several: what it is set to, and what is said of it
    "replicaCount": ("two", "got string, want integer"),
    "image.repository": ("ghcr.io/a@sha256:0", "does not match pattern"),
    "image.repository ": ("ghcr.io/a:v1", "does not match pattern"),
    "image.tag": ("a tag", "does not match pattern"),
    "image.digest": ("sha256:short", "does not match pattern"),
    "image.pullPolicy": ("Sometimes", "'Always', 'IfNotPresent', 'Never'"),
    "imagePullSecrets": (["registry"], "got string, want object"),
    "fullnameOverride": ("Mail", "does not match pattern"),
    "fullnameOverride ": ("1mail", "does not match pattern"),
    "namespaceOverride": ("a.b", "does not match pattern"),
    "commonLabels": ({"a": True}, "got boolean, want string"),
    "serviceAccount.annotations": ({"a": 1}, "got number, want string"),
    "crds.enabled": ("yes", "got string, want boolean"),
    "watchNamespaces": ("shop", "got string, want array"),
    "maxConcurrentReconciles": (257, "maximum: got 257, want 256"),
    "log.level": ("trace", "'debug', 'info', 'warn', 'error'"),
    "log.format": ("xml", "'json', 'text'"),
    "leaderElection.leaseDuration": ("15", "does not match pattern"),
    "extraArgs": (["-v"], "does not match pattern"),
    "extraArgs ": (["--resync-period 1h"], "does not match pattern"),
    "extraEnv": ([{"value": "b"}], "missing property 'name'"),
    "extraVolumeMounts": ([{"name": "a"}], "missing property 'mountPath'"),
    "resources": ({"limit": {}}, "additional properties 'limit' not allowed"),
    "nodeSelector": ({"pool": 1}, "got number, want string"),
    "topologySpreadConstraints": ([{"maxSkew": 1}], "missing properties"),
    "hostUsers": ("no", "got string, want"),
    "strategy.type": ("Fast", "'RollingUpdate', 'Recreate'"),
    "strategy.rollingUpdate.maxSurge": ("1", "does not match pattern"),
    "strategy.rollingUpdate.maxUnavailable": ("", "does not match pattern"),
    "livenessProbe": ({"httpGet": {}}, "additional properties 'httpGet' not allowed"),
    "podDisruptionBudget.minAvailable": ("half", "does not match pattern"),
    "networkPolicy.apiServer.cidrs": (["10.0.0.1"], "does not match pattern"),
    "networkPolicy.apiServer.cidrs ": (["10.0.0.256/32"], "does not match pattern"),
    "networkPolicy.apiServer.cidrs  ": (["10.0.0/24"], "does not match pattern"),
    "networkPolicy.apiServer.cidrs   ": (["10.0.0.0/33"], "does not match pattern"),
    "networkPolicy.apiServer.cidrs    ": (["fd00::1/129"], "does not match pattern"),
    "networkPolicy.apiServer.ports": ([], "minItems: got 0, want 1"),
    "verify.enabled": ("Report", "got string, want boolean"),
    "verify.allowedEndpoints": ("smtp.example.com:587", "got string, want array"),
    "verify.allowedEndpoints ": (["smtp.example.com"], "does not match pattern"),
    "verify.allowedEndpoints  ": (["smtps://smtp.example.com:465"], "does not match pattern"),
    "verify.allowedEndpoints   ": (["*.example.com:587"], "does not match pattern"),
    "verify.allowedEndpoints    ": (["a.example:0"], "does not match pattern"),
    "verify.allowedEndpoints     ": (["a.example:25"] * 2, "items at 0 and 1 are equal"),
    "verify.caBundleSecret": ("smtp-ca", "got string, want object"),
    "verify.caBundleSecret.name": ("shop/smtp-ca", "does not match pattern"),
    "verify.caBundleSecret.key": ("../ca.crt", "does not match pattern"),
    "metrics.port": (65536, "maximum: got 65,536, want 65,535"),
    "metrics.serviceMonitor.renderMode": ("always", "'skipIfMissing', 'failIfMissing', 'alwaysRender'"),
    "metrics.serviceMonitor.interval": ("1d", "does not match pattern"),
    "metrics.prometheusRule.keyMaxAgeDays": (0, "minimum: got 0, want 1"),
}


@pytest.mark.parametrize("value", BAD)
def test_bad_value(value: str) -> None:
    wrong, says = BAD[value]
    value = value.strip()
    message = refusal(nested({value: wrong}))
    assert f"at '/{value.replace('.', '/')}" in message
    assert says in message


def maps(node: Object, path: str = "") -> list[str]:
    """All maps with names of their own."""
    inner = [maps(below, f"{path}.{name}") for name, below in node.get("properties", {}).items()]
    return sum(inner, [path.removeprefix(".")] if "properties" in node else [])


@pytest.mark.parametrize("path", maps(schema()))
def test_unknown_value(path: str) -> None:
    """A value that is spelt wrong would do nothing, and nobody would know."""
    message = refusal(nested({f"{path}.mispelt".removeprefix("."): 1}))
    assert "'mispelt' not allowed" in message
    assert f"at '/{path.replace('.', '/')}'" in message or (path == "" and "at ''" in message)


TOGETHER: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "two at work": (
        {"replicaCount": 2, "leaderElection.enabled": False},
        ("replicaCount", "leaderElection.enabled"),
    ),
    "a lease too short": (
        {"leaderElection.leaseDuration": "10s"},
        ("leaderElection.leaseDuration", "10s", "leaderElection.renewDeadline"),
    ),
    "a lease too short in other units": (
        {"leaderElection.leaseDuration": "1m", "leaderElection.renewDeadline": "0.5m40000ms"},
        ("leaderElection.leaseDuration", "1m", "0.5m40000ms"),
    ),
    "no time to try again": (
        {"leaderElection.retryPeriod": "9s"},
        ("leaderElection.renewDeadline", "1.2 times leaderElection.retryPeriod", "9s"),
    ),
    "a try too soon": (
        {"leaderElection.retryPeriod": "99ms"},
        ("leaderElection.retryPeriod", "99ms", "100ms"),
    ),
    "two at work while one replaces the other": (
        {"strategy.type": "RollingUpdate", "leaderElection.enabled": False},
        ("strategy.type", "leaderElection.enabled", "Recreate"),
    ),
    "the same, as no type is RollingUpdate": (
        {"strategy.rollingUpdate.maxSurge": 1, "leaderElection.enabled": False},
        ("strategy.type", "leaderElection.enabled", "Recreate"),
    ),
    "a rolling Recreate": (
        {"strategy.type": "Recreate", "strategy.rollingUpdate.maxSurge": 1},
        ("strategy.rollingUpdate", "Recreate"),
    ),
    "rights for everybody's account": (
        {"serviceAccount.create": False},
        ("serviceAccount.name", "rbac.create"),
    ),
    "alerts without metrics": (
        {"metrics.prometheusRule.enabled": True, "metrics.enabled": False},
        ("metrics.prometheusRule.enabled: needs metrics.enabled",),
    ),
    "a dashboard without metrics": (
        {"metrics.grafanaDashboard.enabled": True, "metrics.enabled": False},
        ("metrics.grafanaDashboard.enabled: needs metrics.enabled",),
    ),
    "scraped too seldom for the alerts": (
        {
            "metrics.serviceMonitor.enabled": True,
            "metrics.serviceMonitor.interval": "2m1s",
            "metrics.prometheusRule.enabled": True,
        },
        ("metrics.serviceMonitor.interval", "2m1s", "metrics.prometheusRule"),
    ),
    "a port that is none": (
        {"verify.allowedEndpoints": ["a.example:65535", "smtp.example.com:65536"]},
        ("verify.allowedEndpoints", "smtp.example.com:65536", "no port from 1 to 65535"),
    ),
    "a flag that a value sets": ({"extraArgs": ["--log-level=debug"]}, ("extraArgs", "--log-level")),
    "two limits for disruptions": (
        {"podDisruptionBudget.minAvailable": 1, "podDisruptionBudget.maxUnavailable": 1},
        ("podDisruptionBudget", "minAvailable", "maxUnavailable"),
    ),
    "metrics on the port of health": ({"metrics.port": 8081}, ("metrics.port", "8081")),
    "a ServiceMonitor without a Service": (
        {"metrics.serviceMonitor.enabled": True, "metrics.service.enabled": False},
        ("metrics.serviceMonitor.enabled", "metrics.service.enabled"),
    ),
    "a scrape longer than its interval": (
        {"metrics.serviceMonitor.enabled": True, "metrics.serviceMonitor.interval": "10s"},
        ("metrics.serviceMonitor.scrapeTimeout", "30s", "metrics.serviceMonitor.interval", "10s"),
    ),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_values_that_do_not_go_together(case: str) -> None:
    values, says = TOGETHER[case]
    message = refusal(nested(values))
    assert "execution error" in message, "by a template"
    for part in says:
        assert part in message


@pytest.mark.parametrize("release", ["1mail", "a.b"])
def test_a_release_whose_name_no_service_can_have(release: str) -> None:
    done = template({}, release)
    assert "fullnameOverride" in done.stderr and f'"{release}-ses-smtp-operator"' in done.stderr
    render({"fullnameOverride": "mail"}, release)


def test_seldom_scraped_without_alerts() -> None:
    monitor = {"enabled": True, "interval": "5m"}
    render({"metrics": {"serviceMonitor": monitor}})
    render({"metrics": {"serviceMonitor": monitor | {"interval": "2m"}, "prometheusRule": {"enabled": True}}})


def test_addresses_of_all_kinds() -> None:
    cidrs = ["0.0.0.0/0", "255.249.199.9/32", "::/0", "fd00::1/128", "2001:db8:0:0:0:0:0:1/99"]
    render({"networkPolicy": {"apiServer": {"cidrs": cidrs}}})


def test_times_that_are_just_right() -> None:
    render({"leaderElection": {"leaseDuration": "1m1ms", "renewDeadline": "1m", "retryPeriod": "49s"}})


def test_values_as_a_parent_chart_hands_them_down() -> None:
    render({"global": {"imageRegistry": "x"}, "enabled": True}, NAME)
