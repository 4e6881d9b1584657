"""Measurements as JSON lines, and what they say together.

A file's first line is its header: machine, versions, options. Then one line a measurement: controller, run,
what, value, unit. A file that was gone on with holds several headers."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

ENOUGH = 5  # runs, for a ratio to be told


@dataclass
class Results:
    """Of one number of credentials."""

    headers: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)  # controller → why it has no figures

    def add(self, row: Row) -> None:
        if row["what"] == "header":
            self.headers.append(row)
            for name in row["programs"]:  # it came up after all
                self.dropped.pop(name, None)
        elif row["what"] == "dropped":
            self.dropped[row["controller"]] = row["reason"]
        else:
            self.rows.append(row)

    @property
    def options(self) -> Row:
        return self.headers[0]["options"]

    @property
    def controllers(self) -> list[str]:
        """Those that have figures, in the order in which they were asked for."""
        asked = dict.fromkeys(name for header in self.headers for name in header["options"]["controllers"])
        return [name for name in asked if name not in self.dropped]

    def select(self, what: str, controller: str, **more: Any) -> list[Row]:
        wanted = {"what": what, "controller": controller} | more
        return [row for row in self.rows if wanted.items() <= row.items()]

    def by_run(self, what: str, controller: str, **more: Any) -> dict[int, Any]:
        return {row["run"]: row["value"] for row in self.select(what, controller, **more)}


def parse(lines: Iterable[str]) -> list[Results]:
    """One for each number of credentials, the default's or smallest first. What stands before a header, a
    controller that did not come up, belongs to that header."""
    groups: dict[int, Results] = {}
    waiting: list[Row] = []
    for row in map(json.loads, lines):
        if row["what"] == "header":
            current = groups.setdefault(row["options"]["credentials"], Results())
            for each in (*waiting, row):
                current.add(each)
            waiting = []
        elif row["what"] == "dropped" and row.get("before"):
            waiting.append(row)
        else:
            current.add(row)
    return [groups[number] for number in sorted(groups)]


def read(files: Iterable[Path]) -> list[Results]:
    return parse(line for file in files for line in file.read_text().splitlines())


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True)
class Summary:
    median: float
    low: float
    high: float
    count: int

    @staticmethod
    def of(values: Iterable[float]) -> "Summary | None":
        every = list(values)
        return Summary(statistics.median(every), min(every), max(every), len(every)) if every else None

    def text(self, digits: int) -> str:
        median, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.low, self.high))
        return median if low == high else f"{median} ({low}–{high})"


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> Summary | None:
    """Of the runs that both have; nothing unless there are enough."""
    pairs = [ours[run] / theirs[run] for run in ours if theirs.get(run)]
    return Summary.of(pairs) if len(pairs) >= ENOUGH else None
