"""Each alert fires when it should, and only then: promtool plays made-up series to the rules of the chart."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import alerts, render, rendered, rules

FOLDER = Path(__file__).parent / "alerts"
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.iterdir())
    for case in yaml.safe_load(path.read_text())["tests"]
]


def promtool(*args: Any) -> str:
    done = subprocess.run(["promtool", *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_rules(folder: Path, found: list[dict[str, Any]]) -> Path:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "ses-smtp", "rules": found}]}))
    return path


@pytest.mark.parametrize(("alert", "case"), CASES)
def test_alert(alert: str, case: dict[str, Any], tmp_path: Path) -> None:
    path = write_rules(tmp_path, [alerts(rendered())[alert]])
    test = {"rule_files": [str(path)], "evaluation_interval": "1m", "tests": [{"interval": "1m"} | case]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yaml")


def test_each_alert_has_tests() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(alerts(rendered()))


def test_rules_are_valid(tmp_path: Path) -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", write_rules(tmp_path, rules(rendered())))
    assert f"SUCCESS: {len(rules(rendered()))} rules found" in said


def test_deleted_without_leader_election(tmp_path: Path) -> None:
    """There is no leader to say that all credentials are known; then any running operator says so."""
    job = 'job="ses-smtp-system/ses-smtp-operator", pod="a"'
    found = render({"prometheusRule": {"enabled": True}}, leaderElection={"enabled": False})
    case = {
        "interval": "1m",
        "input_series": [
            {
                "series": f'ses_smtp_credential_ready{{{job}, namespace="shop", name="mail"}}',
                "values": "0+0x15 stale",
            },
            {"series": f"ses_smtp_build_info{{{job}}}", "values": "1+0x20"},
        ],
        "promql_expr_test": [
            {
                "expr": 'count(ALERTS{alertstate="firing"})',
                "eval_time": "15m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
            {"expr": "count(ALERTS)", "eval_time": "16m", "exp_samples": []},
        ],
    }
    path = write_rules(tmp_path, rules(found))
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(path)], "tests": [case]}))
    promtool("test", "rules", tmp_path / "test.yaml")


def test_silent_watch_of_one_namespace(tmp_path: Path) -> None:
    """With watchNamespaces the series says which namespace is served; the alert is the operator's still."""
    job = 'job="ses-smtp-system/ses-smtp-operator", pod="a", instance="10.0.0.1:8080", resource="secrets"'
    series = "ses_smtp_watch_last_event_timestamp_seconds"
    found = render({"prometheusRule": {"enabled": True}}, watchNamespaces=["shop", "news"])
    labels = {
        "severity": "warning",
        "job": "ses-smtp-system/ses-smtp-operator",
        "pod": "a",
        "instance": "10.0.0.1:8080",
        "resource": "secrets",
        "namespace": "ses-smtp-system",
        "watched_namespace": "shop",
    }
    said = "has heard nothing about secrets in namespace shop for 16m 0s; a working watch"
    annotations = alerts(found)["SesSmtpWatchSilent"]["annotations"]
    case = {
        "interval": "1m",
        "input_series": [
            {"series": f'{series}{{{job}, namespace="shop"}}', "values": "60+0x20"},
            {"series": f'{series}{{{job}, namespace="news"}}', "values": "1+60x20"},
        ],
        "alert_rule_test": [
            {
                "alertname": "SesSmtpWatchSilent",
                "eval_time": "17m",
                "exp_alerts": [
                    {
                        "exp_labels": labels,
                        "exp_annotations": {
                            "summary": "The operator ses-smtp-system/ses-smtp-operator hears nothing about "
                            "secrets in namespace shop from the API server.",
                            "description": f"Pod a of the operator ses-smtp-system/ses-smtp-operator {said}"
                            + annotations["description"].partition("a working watch")[2],
                            "runbook_url": annotations["runbook_url"],
                        },
                    }
                ],
            }
        ],
    }
    path = write_rules(tmp_path, [alerts(found)["SesSmtpWatchSilent"]])
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [str(path)], "tests": [case]}))
    promtool("test", "rules", tmp_path / "test.yaml")
