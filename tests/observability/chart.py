"""What `helm template` makes of the chart."""

import functools
import json
import re
import subprocess
from typing import Any

import yaml
from harness import ROOT, program

CHART = ROOT / "charts/ses-smtp-operator"
RELEASE, NAMESPACE = "ses-smtp-operator", "ses-smtp-system"
JOB = f"{NAMESPACE}/{RELEASE}"  # what tells our series from those of another installation

# As the Prometheus Operator makes them available.
SERVICE_MONITOR = "monitoring.coreos.com/v1/ServiceMonitor"
PROMETHEUS_RULE = "monitoring.coreos.com/v1/PrometheusRule"

ALL_ON = {
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "grafanaDashboard": {"enabled": True},
}

Object = dict[str, Any]


class HelmError(Exception):
    pass


def render(
    metrics: Object | None = None,
    *,
    apis: tuple[str, ...] = (SERVICE_MONITOR, PROMETHEUS_RULE),
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    **values: Any,
) -> dict[str, Object]:
    """The objects by "Kind/name", for these values in the block `metrics` and at the top."""
    command = [program("helm"), "template", release, CHART, "--namespace", namespace, "--values", "-"]
    command += [f"--api-versions={api}" for api in apis]
    text = json.dumps({"metrics": metrics or {}} | values)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmError(done.stderr)
    objects = [found for found in yaml.safe_load_all(done.stdout) if found]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}


@functools.cache
def rendered() -> dict[str, Object]:
    """With everything that watches the operator, and no other value."""
    return render(ALL_ON)


def rules(objects: dict[str, Object]) -> list[Object]:
    [group] = objects[f"PrometheusRule/{RELEASE}"]["spec"]["groups"]
    return group["rules"]


def alerts(objects: dict[str, Object]) -> dict[str, Object]:
    return {rule["alert"]: rule for rule in rules(objects)}


def dashboard() -> Object:
    text = rendered()[f"ConfigMap/{RELEASE}-dashboard"]["data"]["ses-smtp-operator.json"]
    return json.loads(text)


OURS = re.compile(r"\b(?:ses_smtp|controller_runtime|workqueue|rest_client|leader_election|process)_\w+\b")


def metrics_in(text: str) -> set[str]:
    """Names of metrics that a text speaks of."""
    return set(OURS.findall(text))
