"""Each alert has its page, which says what there is to say. That its commands work is in test_live.py."""

import re
import subprocess

import pytest
from chart import alerts, rendered
from harness import ROOT

FOLDER = ROOT / "docs/runbooks"
ALERTS = alerts(rendered())

each_alert = pytest.mark.parametrize("name", ALERTS)


def test_pages_are_those_of_the_alerts() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {"README", *ALERTS}


@each_alert
def test_page(name: str) -> None:
    assert ALERTS[name]["annotations"]["runbook_url"].endswith(f"/runbooks/{name}")
    text = (FOLDER / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert "\n**For mail:** " in text
    assert re.findall("^## (.+)", text, re.MULTILINE) == [
        "See it",
        "Causes, and what to do",
        "When it is harmless",
    ]


@each_alert
def test_index(name: str) -> None:
    assert (
        f"| [{name}]({name}.md) | {ALERTS[name]['labels']['severity']} |"
        in (FOLDER / "README.md").read_text()
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"ts":"2026-01-31T10:00:00.000Z","level":"warning","msg":"a"}', True),
        ('{"ts":"2026-01-31T10:00:00.000Z","level":"info","msg":"no warning "}', False),
        ("10:00:00 warning a", True),
        ("10:00:00 info  no warning at all", False),
    ],
)
def test_warnings_are_found_in_logs_of_both_formats(line: str, found: bool) -> None:
    [pattern] = re.findall("grep -E '(.+)'", (FOLDER / "SesSmtpRotationSlow.md").read_text())
    done = subprocess.run(["grep", "-E", pattern], input=line, text=True, capture_output=True, check=False)
    assert (done.returncode == 0) == found


def test_links_lead_somewhere() -> None:
    for path in FOLDER.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", path.read_text()):
            assert (FOLDER / link).exists(), f"{path.name}: {link}"


def test_every_reason_is_explained() -> None:
    """All but the good one, as the program writes them."""
    source = (ROOT / "src/api/reason.cpp").read_text()
    reasons = set(re.findall(r'return "(\w+)";', source)) - {"Synced"}
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \|$", (FOLDER / "SesSmtpCredentialNotReady.md").read_text(), re.MULTILINE
    )
    assert len(reasons) > 20
    assert sorted(rows) == sorted(reasons)
