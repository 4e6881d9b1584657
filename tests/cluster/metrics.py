"""Prometheus' text format, read strictly: what is lenient in a scraper may break in the next one."""

import re
from collections import defaultdict

Labels = dict[str, str]

NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*),?\}})? ([-+.0-9eE]+|[+-]Inf|NaN)(?: -?[0-9]+)?")
KINDS = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}


class Metrics:
    """`kinds` has the type of each family, `samples` all series by name."""

    def __init__(self, text: str):
        self.text = text
        self.kinds: dict[str, str] = {}
        self.samples: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        self._read()

    def _read(self) -> None:
        assert self.text.endswith("\n")
        helps, seen, family = set(), set(), ""
        for line in self.text.splitlines():
            if found := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
                assert found[1] not in helps, f"a second help text: {line}"
                helps.add(found[1])
            elif found := re.fullmatch(rf"# TYPE ({NAME}) (\w+)", line):
                family, kind = found.groups()
                assert family not in self.kinds, f"a family in two parts: {line}"
                assert kind in KINDS and family in helps, line
                assert kind != "counter" or family.endswith("_total"), line
                self.kinds[family] = kind
            else:
                found = SAMPLE.fullmatch(line)
                assert found, f"no sample: {line!r}"
                name, labels = found[1], re.findall(LABEL, found[2] or "")
                assert name in [family + suffix for suffix in KINDS[self.kinds[family]]], (
                    f"not of {family}: {line}"
                )
                assert len(dict(labels)) == len(labels), f"a label twice: {line}"
                series = (name, *sorted(labels))
                assert series not in seen, f"a series twice: {line}"
                seen.add(series)
                plain = {
                    key: re.sub(r"\\(.)", lambda c: {"n": "\n"}.get(c[1], c[1]), value)
                    for key, value in labels
                }
                self.samples[name].append((plain, float(found[found.re.groups])))
        for name in (name for name, kind in self.kinds.items() if kind == "histogram"):
            for labels, count in self.samples[f"{name}_count"]:
                assert self.value(f"{name}_bucket", **labels, le="+Inf") == count, name

    def find(self, name: str, /, **labels: str) -> list[tuple[Labels, float]]:
        """The series of that name that have these labels, and maybe others."""
        return [(own, value) for own, value in self.samples.get(name, []) if labels.items() <= own.items()]

    def value(self, name: str, /, **labels: str) -> float | None:
        """Of the one series that has these labels; None when there is none."""
        found = self.find(name, **labels)
        assert len(found) <= 1, f"{name} is ambiguous: {found}"
        return found[0][1] if found else None

    def total(self, name: str, /, **labels: str) -> float:
        return sum(value for _, value in self.find(name, **labels))
