"""The form of the dashboard. That its queries have data is in test_live.py; Grafana itself is not at hand."""

import itertools
from typing import Any

import pytest
from chart import dashboard

KINDS = {"row", "stat", "table", "timeseries", "state-timeline"}
ALL = {variable["name"] for variable in dashboard()["templating"]["list"]}
PANELS = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    return set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


def test_head() -> None:
    found = dashboard()
    assert found["uid"] == "ses-smtp-operator"
    assert found["id"] is None, "an id is the database's, not ours"
    assert found["schemaVersion"] >= 39
    assert found["title"] and found["tags"]
    assert ALL == {"datasource", "job", "namespace"}
    [source] = [one for one in found["templating"]["list"] if one["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")


def test_ids_and_titles_are_unique() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)


def test_grid_is_full() -> None:
    """Nothing lies over anything else, nothing stands out to the right, and there are no holes."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        assert not taken & cells(panel), panel["title"]
        taken |= cells(panel)
    assert max(x for x, _ in taken) == 23
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height


def test_each_row_has_panels_below() -> None:
    kinds = [panel["type"] for panel in dashboard()["panels"]]
    titles = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert titles == ["Credentials", "Rotations", "Logins and restarts", "Operator"]
    assert ("row", "row") not in itertools.pairwise([*kinds, "row"])


@each_panel
def test_panel(panel: dict[str, Any]) -> None:
    assert panel["type"] in KINDS
    assert panel["description"].endswith(".")
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == source
    targets = panel["targets"]
    assert len({target["refId"] for target in targets}) == len(targets)
    for target in targets:
        assert target["datasource"] == source
        assert target["instant"] != target["range"]
        assert 'job="$job"' in target["expr"], "no series of another installation"
        assert (target.get("format") == "table") == (panel["type"] == "table")
        # Else a Grafana that knows nothing of our scrape interval takes rates over less than two scrapes.
        assert ("$__rate_interval" in target["expr"]) == (target.get("interval") == "1m")
        if "ses_smtp_credential_" in target["expr"]:
            assert 'namespace=~"$namespace"' in target["expr"]


@each_panel
def test_panel_has_a_unit(panel: dict[str, Any]) -> None:
    columns = [one["properties"] for one in panel["fieldConfig"]["overrides"]]
    units = [one["value"] for properties in columns for one in properties if one["id"] == "unit"]
    assert panel["fieldConfig"]["defaults"]["unit"] and all(units)
    if "s" in {panel["fieldConfig"]["defaults"]["unit"], *units}:
        texts = " ".join(target["expr"] for target in panel["targets"])
        assert "_seconds" in texts
