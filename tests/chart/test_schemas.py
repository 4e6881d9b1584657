"""All that the chart and deploy/ make, against the schemas of the Kubernetes versions that are served."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from harness import program
from schemas import FILE, our_schema, schemas, version_here
from test_values import EVERYTHING

from charts import ROOT, template

VERSIONS = [version_here(), "v1.32.13", "v1.31.14"]
FOREIGN = "ServiceMonitor,PrometheusRule"  # the Prometheus Operator's


@pytest.fixture(params=VERSIONS)
def locations(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    our_schema(tmp_path)
    return [f"{folder}/{FILE}" for folder in (schemas(request.param), tmp_path)]


def conform(text: str, locations: list[str]) -> tuple[dict[str, int], list[str]]:
    """How many there were of each outcome, and what is wrong."""
    where = sum((["-schema-location", location] for location in locations), [])
    command = [program("kubeconform"), "-strict", "-summary", "-output", "json", "-skip", FOREIGN, *where]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return answer["summary"], [
        f"{item['kind']}/{item['name']}: {item['msg']}" for item in answer["resources"]
    ]


def documents(text: str) -> int:
    return len([item for item in yaml.load_all(text, yaml.CSafeLoader) if item])


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING, {"watchNamespaces": ["shop"]}], ids=["no values", "all values", "namespaces"]
)
def test_chart(values: dict, locations: list[str]) -> None:
    done = template(values)
    assert done.returncode == 0, done.stderr
    summary, wrong = conform(done.stdout, locations)
    assert wrong == []
    assert summary["valid"] + summary["skipped"] == documents(done.stdout) > 10


@pytest.mark.parametrize(
    "folder", ["install.yaml", "base", "samples", "overlays/namespaced/role"], ids=lambda folder: folder
)
def test_deploy(folder: str, locations: list[str]) -> None:
    path = ROOT / "deploy" / folder
    files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
    text = "\n---\n".join(file.read_text() for file in files if file.name != "kustomization.yaml")
    summary, wrong = conform(text, locations)
    assert wrong == []
    assert summary["valid"] == documents(text) > 1


@pytest.mark.parametrize(
    "old, new",
    [
        ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSecond: 30"),
        ("replicas: 1", "replicas: one"),
        ("region: us-east-1", "region: [us-east-1]"),
        ("secretName: ses-smtp-operator-test-iam\n  region", "secretNames: x\n  region"),
    ],
    ids=["unknown field", "wrong type", "wrong type in ours", "unknown field in ours"],
)
def test_a_mistake_would_be_found(old: str, new: str, locations: list[str]) -> None:
    text = template({}).stdout
    assert old in text
    _, wrong = conform(text.replace(old, new), locations)
    assert len(wrong) == 1
