"""A real Prometheus scrapes a real operator: alerts, dashboard and documents speak of what it shows."""

import copy
import json
import math
import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chart import JOB, RELEASE, alerts, dashboard, metrics_in, render, rendered, rules
from harness import BINARY, OPERATOR, REGION, ROOT, Cluster, Controller, World, encode, unique, wait_for
from oracle import Key, plain
from prometheus import Prometheus

Shown = tuple[str, str, str]  # panel, id of the query, expression

# What Grafana puts in: the installation, all namespaces, and a minimal step of a minute, four times.
VARIABLES = {"$job": JOB, "$namespace": ".*", "$__rate_interval": "4m"}


def queries() -> list[Shown]:
    return [
        (panel["title"], target["refId"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def blocks(path: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def expressions(path: Path) -> list[str]:
    """The PromQL of a page. An expression begins at the left edge, with lines of it that are indented."""
    lines = [line for block in blocks(path, "promql") for line in block.splitlines()]
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    return re.split(r"\n(?!\s)", text) if text else []


# The alerts that fire for the troubled ones, and of whom.
REPORTED = {
    "SesSmtpCredentialNotReady": "bad",
    "SesSmtpVerifyFailing": "elsewhere",
    "SesSmtpRestartOverdue": "mail",
}
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("SesSmtp*.md"))
PAGES = [ROOT / "docs/metrics.md", *RUNBOOKS]


@dataclass
class Site:
    """A cluster with an operator and a Prometheus."""

    world: World
    controller: Controller
    prometheus: Prometheus


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.for_operator(unique("watched")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    quick = copy.deepcopy(rules(rendered()))
    for rule in quick:
        if rule["alert"] in REPORTED:
            rule["for"] = "2s"
    cluster.api.create("Namespace", {"metadata": {"name": "shop"}})
    controller = Controller(cluster.kubeconfig_of(OPERATOR, folder), folder / "log").start()
    try:
        target = controller.wait_logged("serving", what="metrics")["address"]
        monitor = rendered()[f"ServiceMonitor/{RELEASE}"]
        with Prometheus(folder, target, monitor, quick) as prometheus:
            yield Site(World(cluster, "shop"), controller, prometheus)
    finally:
        assert controller.stop() == 0


def states(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(rule["state"], rule["health"]) for rule in found.values()}


@pytest.fixture(scope="session")
def healthy(site: Site) -> dict[str, Any]:
    """The alerting rules while all is well."""
    workload = {"kind": "Deployment", "name": "nowhere"}
    for name, spec in (("mail", {"rolloutRestartTargets": [workload]}), ("news", {})):
        site.world.write_source(plain(Key.new(), region=REGION), f"{name}-iam")
        site.world.create_credential(name, source=f"{name}-iam", **spec)
        site.world.wait_synced(name)

    def evaluated() -> dict[str, Any] | None:
        if site.prometheus.query("sum(ses_smtp_credential_ready)") != [({}, 2)]:
            return None
        found = site.prometheus.alerts()
        return found if states(found) == {("inactive", "ok")} else None

    def detail() -> str:
        return json.dumps(site.prometheus.alerts(), indent=1)

    return wait_for("all rules are evaluated and inactive", evaluated, 30, detail)


@pytest.fixture(scope="session")
def troubled(site: Site, healthy: dict[str, Any]) -> Site:
    """
    One rotation, with a workload that is not there; a credential whose source cannot work: an error, and not
    ready; and one for a server that it may not be sent to.
    """
    world = site.world
    world.change_secret("mail-iam", data={key: encode(value) for key, value in plain(Key.new()).items()})
    world.wait_event("Rotated")
    key = Key.new()
    world.write_source(plain(Key(key.secret, key.id), region=REGION), "bad-iam")
    world.create_credential("bad", source="bad-iam")
    world.wait_not_ready("SourceKeysSwapped", "bad")
    endpoint = {"host": "smtp.example.com", "port": 587}
    world.create_credential("elsewhere", source="news-iam", endpoint=endpoint, verify={"mode": "Report"})
    world.wait_event("VerifyFailed", "elsewhere")
    return site


def test_nothing_fires_while_all_is_well(healthy: dict[str, Any]) -> None:
    assert set(healthy) == set(alerts(rendered()))
    assert states(healthy) == {("inactive", "ok")}


def firing(prometheus: Prometheus, name: str) -> Any:
    def alert() -> Any:
        rule = prometheus.alerts()[name]
        return rule["state"] == "firing" and rule["alerts"]

    [found] = wait_for(f"{name} fires", alert, 30)
    return found


def test_what_is_in_trouble_is_reported(troubled: Site) -> None:
    """And nothing else."""
    for name, credential in REPORTED.items():
        alert = firing(troubled.prometheus, name)
        shown = {label: alert["labels"].get(label) for label in ("job", "namespace", "name")}
        assert shown == {"job": JOB, "namespace": "shop", "name": credential}
    found = troubled.prometheus.alerts()
    assert {name for name, rule in found.items() if rule["state"] != "inactive"} == set(REPORTED)


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ("SesSmtpCredentialNotReady", ", reason SourceKeysSwapped."),
        ("SesSmtpVerifyFailing", ", reason EndpointNotAllowed."),
        ("SesSmtpRestartOverdue", " 1 of the workloads "),
    ],
)
def test_an_alert_says_what_is_wrong(troubled: Site, alert: str, words: str) -> None:
    assert words in firing(troubled.prometheus, alert)["annotations"]["description"]


@pytest.mark.parametrize("shown", queries(), ids=lambda shown: f"{shown[0]} {shown[1]}")
def test_panel_has_data(shown: Shown, troubled: Site) -> None:
    expression = filled_in(shown[2])

    def series() -> list[Any] | None:
        found = troubled.prometheus.query(expression)
        return found if found and all(math.isfinite(value) for _, value in found) else None

    def detail() -> str:
        return f"{expression}\n{troubled.prometheus.query(expression)}"

    wait_for(f"panel {shown[0]} has data", series, 15, detail)


def test_panels_count_right(troubled: Site) -> None:
    """Of four credentials one is not ready, one was rotated, and one is not proved."""
    single = {title: expression for title, _, expression in queries()}

    def shown() -> dict[str, list[float]]:
        titles = ("Ready", "Not ready", "Rotated in a day")
        return {
            title: [value for _, value in troubled.prometheus.query(filled_in(single[title]))]
            for title in titles
        }

    right = {"Ready": [3], "Not ready": [1], "Rotated in a day": [1]}
    wait_for("the counts are right", lambda: shown() == right, detail=lambda: str(shown()))
    [(labels, _)] = troubled.prometheus.query(filled_in(single["Not ready now"]))
    assert labels == {"namespace": "shop", "name": "bad", "reason": "SourceKeysSwapped"}
    [(labels, _)] = troubled.prometheus.query(filled_in(single["Logins not proved now"]))
    assert labels == {"namespace": "shop", "name": "elsewhere", "reason": "EndpointNotAllowed"}
    [(labels, rotated)] = troubled.prometheus.query(filled_in(single["Last rotations"]))
    assert labels == {"namespace": "shop", "name": "mail"}
    [(_, now)] = troubled.prometheus.query("time()")
    assert now - 120 < rotated / 1000 <= now


def test_variables_have_values(troubled: Site) -> None:
    found = {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert query
            found[variable["name"]] = troubled.prometheus.label_values(query[2], filled_in(query[1]))
    assert found == {"job": [JOB], "namespace": ["shop"]}


def test_each_metric_that_is_named_exists(troubled: Site) -> None:
    page = troubled.controller.metrics()
    there = set(page.kinds) | set(page.samples)
    named = {
        "the alerts": metrics_in(json.dumps(rules(rendered()))),
        "the dashboard": metrics_in(json.dumps(dashboard())),
    }
    named |= {path.name: metrics_in(path.read_text()) for path in PAGES}
    assert {where: sorted(names - there) for where, names in named.items() if names - there} == {}
    assert len(named["metrics.md"]) > 30
    assert all(named.values()), "each page names a metric"


def test_each_metric_is_documented(troubled: Site) -> None:
    page = troubled.controller.metrics()
    assert sorted(set(page.kinds) - metrics_in((ROOT / "docs/metrics.md").read_text())) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_promql_of_page(path: Path, troubled: Site) -> None:
    """Prometheus takes each expression as it stands."""
    found = expressions(path)
    assert found
    for expression in found:
        troubled.prometheus.query(expression)


def test_a_credential_that_is_being_deleted_raises_no_alert(troubled: Site) -> None:
    """It is not ready, and stays for as long as somebody's finalizer holds it."""
    world, prometheus = troubled.world, troubled.prometheus
    world.create_credential("held", source="nowhere", finalizers=["example.com/hold"])
    alert = 'ALERTS{alertname="SesSmtpCredentialNotReady", name="held"}'
    try:
        wait_for("its alert", lambda: prometheus.query(alert), 20)
        world.delete_credential("held")
        wait_for("the end of it", lambda: not prometheus.query(alert))
        assert world.credential("held")["metadata"]["deletionTimestamp"]
    finally:
        world.api.patch("SesSmtpCredential", "held", {"metadata": {"finalizers": None}}, world.namespace)


@pytest.fixture(scope="session")
def installed(troubled: Site) -> Site:
    """The chart is installed as well. There is no node, so the pods stay Pending."""
    cluster = troubled.world.cluster
    objects = [
        one
        for one in render().values()
        if one["kind"] != "CustomResourceDefinition"
        and "helm.sh/hook" not in one["metadata"].get("annotations", {})
    ]
    text = "\n---\n".join(json.dumps(one) for one in objects)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    return troubled


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_commands_of_runbook(path: Path, installed: Site, tmp_path: Path) -> None:
    """Each block of commands runs as it stands. grep may find nothing, kubectl may not complain."""
    cluster = installed.world.cluster
    kubectl = Path(cluster.info["kubectl"])
    (tmp_path / "ses-smtp").symlink_to(BINARY)
    environment = {
        "PATH": f"{tmp_path}:{kubectl.parent}:{os.environ['PATH']}",
        "HOME": str(installed.prometheus.folder),
        "KUBECONFIG": str(cluster.kubeconfig),
    }
    scripts = blocks(path, "sh")
    assert scripts
    for script in scripts:
        command = ["bash", "-uc", script]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        said = [line for line in done.stderr.splitlines() if not line.startswith("No resources found")]
        assert said == [], script
        assert "no" not in done.stdout.splitlines(), f"kubectl auth can-i says no: {script}"
