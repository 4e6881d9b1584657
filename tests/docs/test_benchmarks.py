"""The page of benchmarks says what was measured, and its statistics are right."""

import json
import re
from typing import Any

import pytest
import report
from results import Results, Summary, parse, percentile, ratios

CONTROLLERS = "ses-smtp", "reference-go", "reference-rs"


def header(credentials: int = 100, busy: float = 0.01, **programs: str) -> dict[str, Any]:
    facts = {"madeWith": "…", "bytes": 1 << 20}
    return {
        "what": "header",
        "date": "2026-11-23",
        "commit": "abc",
        "machine": {"cpu": "x", "cores": 2, "memoryMiB": 1024, "system": "y", "kernel": "z"},
        "versions": {"etcd": "v3"},
        "load": {"busy": busy},
        "programs": {name: facts | {"sha256": programs.get(name, "1")} for name in CONTROLLERS},
        "options": {"controllers": list(CONTROLLERS), "credentials": credentials, "memoryRuns": 3},
    }


def measured(controller: str, run: int, what: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"controller": controller, "run": run, "what": what, "value": value, "unit": "s"} | more


def results(*rows: dict[str, Any]) -> list[Results]:
    return parse(map(json.dumps, rows))


def test_page_says_what_was_measured() -> None:
    """After a change of report.py: tests/bench/report.py --publish docs/benchmarks/results.jsonl"""
    group, text = report.published(), report.PAGE.read_text()
    assert text == report.page(text, group)
    for name, picture in report.pictures(group).items():
        assert (report.IMAGES / name).read_text() == picture, name


def test_percentile_is_a_value_that_was_measured() -> None:
    hundred = list(range(100, 0, -1))
    assert [percentile(hundred, share) for share in (0.5, 0.9, 0.99, 1)] == [50, 90, 99, 100]
    assert percentile([7], 0.5) == percentile([7], 0.99) == 7


def test_ratio_is_taken_run_by_run() -> None:
    """The machine was slow in the third run, for both: that changes no ratio."""
    ours = {1: 1.0, 2: 1.1, 3: 10.0, 4: 0.9, 5: 1.0}
    theirs = {1: 2.0, 2: 2.2, 3: 20.0, 4: 1.5, 5: 4.0}
    assert ratios(ours, theirs) == Summary(0.5, 0.25, 0.6, 5)


def test_no_ratio_of_fewer_than_five_pairs() -> None:
    ours = {run: 1.0 for run in range(1, 6)}
    assert ratios(ours, {run: 2.0 for run in range(2, 7)}) is None
    assert ratios(ours, {}) is None


def test_reference_that_did_not_come_up_has_no_figures() -> None:
    rows = [measured(name, run, "cold", 1.0) for name in CONTROLLERS for run in range(1, 6)]
    reason = {"what": "dropped", "controller": "reference-go", "reason": "go is not installed"}
    text = report.text(results(header(), *rows, reason))
    assert "reference-go is left out, without ratios: go is not installed" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any("reference-rs" in line for line in tables)
    assert not any("reference-go" in line for line in tables)


def test_reference_that_came_up_the_second_time_counts() -> None:
    reason = {"what": "dropped", "controller": "reference-go", "reason": "x", "before": True}
    [one] = results(reason, header(), measured("ses-smtp", 1, "cold", 1.0), header())
    assert one.controllers == list(CONTROLLERS)


def test_little_cpu_is_called_not_measurable() -> None:
    rows = [
        measured(name, 1, "idle ticks", ticks, minutes=10.0) for name, ticks in zip(CONTROLLERS, (9, 10, 60))
    ]
    rows += [measured(name, 1, "idle requests", {"update leases": 300}, minutes=10.0) for name in CONTROLLERS]
    text = report.text(results(header(), *rows))
    [cpu] = re.findall(r"^\| CPU +\|(.*)\|$", text, re.MULTILINE)
    assert [cell.strip() for cell in cpu.split("|")] == [
        "not measurable (<10 ticks)", "10 ticks: 1.0/min", "60 ticks: 6.0/min",
    ]  # fmt: skip
    [leases] = re.findall(r"^\| update leases, a minute +\|(.*)\|$", text, re.MULTILINE)
    assert [cell.strip() for cell in leases.split("|")] == ["30.0"] * 3


def test_numbers_of_credentials_are_not_mixed() -> None:
    group = results(
        header(10000), measured("ses-smtp", 1, "cold", 40.0), header(), measured("ses-smtp", 1, "cold", 4.0)
    )
    assert [each.options["credentials"] for each in group] == [100, 10000]
    assert [each.by_run("cold", "ses-smtp") for each in group] == [{1: 4.0}, {1: 40.0}]


@pytest.mark.parametrize(
    "headers",
    [
        [header(busy=0.5)],
        [header(), header() | {"machine": {"cpu": "another"}}],
        [header(), header(10000, **{"reference-rs": "2"})],
    ],
    ids=["busy", "two machines", "two builds"],
)
def test_figures_that_do_not_belong_together_are_not_published(headers: list[dict[str, Any]]) -> None:
    assert report.unfit(results(*headers))
    assert not report.unfit(results(header(), header(10000)))


def test_busy_machine_between_runs_is_noticed() -> None:
    row = {"what": "busy", "value": 0.4, "controller": "ses-smtp", "run": 2}
    assert "40%" in report.unfit(results(header(), row))
