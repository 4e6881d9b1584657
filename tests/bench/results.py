"""Measurements as JSON lines, and what they say together.

The first line of a file is its header: machine, versions, options. Then one line a measurement: controller,
run, what, value, unit. A file may hold several headers, of parts that were run one after the other."""

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
    headers: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)  # controller → why it has no figures

    @staticmethod
    def read(files: Iterable[Path]) -> "Results":
        results = Results()
        for file in files:
            for line in file.read_text().splitlines():
                results.add(json.loads(line))
        return results

    def add(self, row: Row) -> None:
        if row["what"] == "header":
            self.headers.append(row)
        elif row["what"] == "dropped":
            self.dropped[row["controller"]] = row["reason"]
        else:
            self.rows.append(row)

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
        median = f"{self.median:,.{digits}f}"
        return median if self.count == 1 else f"{median} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> Summary | None:
    """Of the runs that both have; nothing unless there are enough."""
    pairs = [ours[run] / theirs[run] for run in ours if theirs.get(run)]
    return Summary.of(pairs) if len(pairs) >= ENOUGH else None
