#!/usr/bin/env python3
"""Tables and plots of what `make bench` measured.

    tests/bench/report.py build/bench/results.jsonl...            prints the tables
    tests/bench/report.py --publish build/bench/results.jsonl...  makes docs/benchmarks.md say so

Publishing keeps the measurements in docs/benchmarks/results.jsonl; the page and its plots follow from that
file alone. It is refused for figures that were taken while the machine did something else."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plots
from results import ENOUGH, Results, Summary, parse, percentile, ratios, read

ROOT = Path(__file__).resolve().parents[2]
PAGE, DATA = ROOT / "docs/benchmarks.md", ROOT / "docs/benchmarks/results.jsonl"
IMAGES = ROOT / "docs/images"
BEGIN, END = "<!-- made by tests/bench/report.py -->", "<!-- end of what it made -->"
OURS = "ses-smtp"
BUSY = 0.10  # share of the CPU time before the first run
TOO_FEW_TICKS = 10

Values = dict[int, float]  # run → value


@dataclass(frozen=True)
class Table:
    head: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        """Markdown that is a table to the eye, too."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows)]

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([line(self.head), rule, *map(line, self.rows)]) + "\n"


@dataclass(frozen=True)
class Figure:
    """Something that has one number a run."""

    label: str
    of: Callable[[Results, str], Values]
    digits: int = 2
    compared: bool = True


# ---- which figures there are ---------------------------------------------------------------------------


def plain(what: str) -> Callable[[Results, str], Values]:
    return lambda results, name: results.by_run(what, name)


def latency(share: float) -> Callable[[Results, str], Values]:
    return lambda results, name: {
        run: percentile(values, share) for run, values in results.by_run("latency", name).items()
    }


def kind_of(request: str) -> str:
    """What a request is for, by its verb and resource."""
    verb, resource = request.split(" ", 1)
    if resource in ("leases", "events"):
        return resource
    if verb in ("list", "watch"):
        return "lists and watches"
    if verb == "get":
        return "reads" if resource == "secrets" else "other"
    return "writes"


def requests(what: str, *kinds: str, each: bool = False) -> Callable[[Results, str], Values]:
    def count(results: Results, name: str) -> Values:
        share = results.options["credentials"] if each else 1
        return {
            run: sum(number for request, number in calls.items() if kind_of(request) in kinds) / share
            for run, calls in results.by_run(what, name).items()
        }

    return count


def mebibytes(part: str, state: str) -> Callable[[Results, str], Values]:
    return lambda results, name: {
        run: value[part] / 1024 for run, value in results.by_run("memory", name, state=state).items()
    }


def cpu(what: str, process: str) -> Callable[[Results, str], Values]:
    """Milliseconds a credential."""
    return lambda results, name: {
        run: 1000 * spent[process] / results.options["credentials"]
        for run, spent in results.by_run(what, name).items()
    }


WORK = [
    Figure("cold sync, s", plain("cold")),
    Figure("… from first to last target, s", plain("cold first to last")),
    Figure("… reads and writes a credential", requests("cold requests", "reads", "writes", each=True),
           compared=False),
    Figure("… CPU of the controller, ms a credential", cpu("cold CPU", "controller")),
    Figure("… CPU of the API server, ms a credential", cpu("cold CPU", "kube-apiserver"), compared=False),
    Figure("… Events a credential", requests("cold requests", "events", each=True), compared=False),
    Figure("rotation p50, ms", latency(0.5), 1),
    Figure("rotation p90, ms", latency(0.9), 1),
    Figure("rotation p99, ms", latency(0.99), 1),
    Figure("rotation max, ms", latency(1), 1, compared=False),
    Figure("burst, s", plain("burst")),
    Figure("… the updates alone, s", plain("burst updates"), compared=False),
    Figure("… reads and writes a credential", requests("burst requests", "reads", "writes", each=True),
           compared=False),
    Figure("… CPU of the controller, ms a credential", cpu("burst CPU", "controller")),
    Figure("… CPU of the API server, ms a credential", cpu("burst CPU", "kube-apiserver"), compared=False),
    Figure("restart, s", plain("restart")),
    Figure("… until its last request, s", plain("restart last request"), compared=False),
    Figure("… reads", requests("restart requests", "reads"), 0, compared=False),
    Figure("… writes and Events", requests("restart requests", "writes", "events"), 0, compared=False),
    Figure("stop, s", plain("stop"), compared=False),
]  # fmt: skip

MEMORY = [
    Figure(f"{name}, {state}, MiB", mebibytes(part, state), 1)
    for state in ("after cold sync", "after burst", "after restart")
    for part, name in (("rss", "RSS"), ("anonymous", "anonymous"), ("peak", "peak"))
]


def values_table(results: Results, figures: Sequence[Figure]) -> Table | None:
    rows = []
    for figure in figures:
        found = [Summary.of(figure.of(results, name).values()) for name in results.controllers]
        if any(found):
            cells = [summary.text(figure.digits) if summary else "–" for summary in found]
            rows.append([figure.label, *cells])
    return Table(["median (range)", *results.controllers], rows) if rows else None


def ratios_table(results: Results, figures: Sequence[Figure]) -> Table | None:
    others = [name for name in results.controllers if name != OURS]
    rows = []
    for figure in figures:
        ours = figure.of(results, OURS)
        found = [ratios(ours, figure.of(results, name)) for name in others]
        if figure.compared and any(found):
            cells = [summary.text(2) if summary else "–" for summary in found]
            rows.append([figure.label.rpartition(",")[0], *cells])
    return Table([f"{OURS} /", *others], rows) if rows else None


# ---- memory beside Secrets of others -------------------------------------------------------------------


def foreign_points(results: Results, state: str, name: str, size: int) -> dict[int, list[dict[str, int]]]:
    """Number of foreign Secrets → what was measured, of all runs."""
    points: dict[int, list[dict[str, int]]] = {}
    for row in results.select("memory", name, state=state, bytes=size):
        points.setdefault(row["foreign"], []).append(row["value"])
    return points


def foreign_table(results: Results) -> Table | None:
    """RSS and peak, medians."""

    def cell(values: Sequence[dict[str, int]]) -> str:
        parts = [Summary.of(value[part] / 1024 for value in values) for part in ("rss", "anonymous", "peak")]
        return " / ".join(part.text(1).partition(" ")[0] if part else "–" for part in parts)

    rows = []
    for label, state in (("no credentials", "no credentials"), ("10 credentials", "first credentials")):
        found = [
            [row["value"] for row in results.select("memory", name, state=state)]
            for name in results.controllers
        ]
        if any(found):
            rows.append([label, *map(cell, found)])
    sizes = sorted({row["bytes"] for row in results.rows if "bytes" in row})
    for size in sizes:
        for state in ("as they come", "after a start"):
            of = {name: foreign_points(results, state, name, size) for name in results.controllers}
            for number in sorted({number for points in of.values() for number in points}):
                cells = [cell(of[name].get(number, [])) for name in results.controllers]
                rows.append([f"+ {number:,} of {size >> 10} KiB, {state}", *cells])
    return Table(["RSS / anonymous / peak, MiB", *results.controllers], rows) if rows else None


def median_line(results: Results, state: str, name: str, size: int) -> list[tuple[float, float]]:
    points = foreign_points(results, state, name, size)
    return [
        (number, summary.median / 1024)
        for number, values in sorted(points.items())
        if (summary := Summary.of(value["rss"] for value in values))
    ]


# ---- idle ----------------------------------------------------------------------------------------------


def idle_table(results: Results) -> Table | None:
    def one(what: str, name: str) -> dict[str, Any] | None:
        return next(iter(results.select(what, name)), None)

    ticks = [one("idle ticks", name) for name in results.controllers]
    calls = [one("idle requests", name) for name in results.controllers]
    if not any(ticks):
        return None

    def cpu(row: dict[str, Any] | None) -> str:
        if row is None:
            return "–"
        if row["value"] < TOO_FEW_TICKS:
            return f"not measurable (<{TOO_FEW_TICKS} ticks)"
        return f"{row['value']} ticks: {row['value'] / row['minutes']:.1f}/min"

    def rate(row: dict[str, Any] | None, request: str) -> str:
        return f"{row['value'].get(request, 0) / row['minutes']:.1f}" if row else "–"

    rows = [["CPU", *map(cpu, ticks)]]
    for request in sorted({request for row in calls if row for request in row["value"]}):
        rows.append([f"{request}, a minute", *(rate(row, request) for row in calls)])
    memory = [
        Summary.of(mebibytes("rss", "after idle")(results, name).values()) for name in results.controllers
    ]
    rows.append(["RSS at the end, MiB", *(found.text(1) if found else "–" for found in memory)])
    return Table([f"idle for {next(filter(None, ticks))['minutes']:g} minutes", *results.controllers], rows)


# ---- all of it -----------------------------------------------------------------------------------------


def circumstances(group: Sequence[Results]) -> list[str]:
    """Machine, versions, and what went wrong."""
    header = group[0].headers[-1]
    machine, versions, programs = header["machine"], header["versions"], {}
    for each in group:
        for one in each.headers:
            programs |= one["programs"]
    lines = [
        f"- {header['date']}, commit {header['commit'] or 'unknown'}",
        f"- {machine['cpu']}, {machine['cores']} cores, {machine['memoryMiB'] / 1024:.0f} GiB, "
        f"{machine['system']}, Linux {machine['kernel']}",
        f"- {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    for name, facts in programs.items():
        lines.append(f"- {name}: {facts['madeWith']}, {facts['bytes'] / 2**20:.1f} MiB")
    for each in group:
        for name, reason in each.dropped.items():
            lines.append(f"- {name} is left out, without ratios: {reason}")
    return lines


def sections(results: Results, level: str) -> list[str]:
    options = results.options
    number = f"{options['credentials']:,} credentials"
    found = [
        (f"Work: {number}", values_table(results, WORK)),
        (f"Memory: {number}", values_table(results, MEMORY)),
        (f"Ratios: {number}, at least {ENOUGH} interleaved runs", ratios_table(results, [*WORK, *MEMORY])),
        (f"Memory beside Secrets of others ({options['memoryRuns']} runs)", foreign_table(results)),
        (f"Idle: {number}", idle_table(results)),
    ]
    return [f"{level} {title}\n\n{table.text()}" for title, table in found if table]


def text(group: Sequence[Results]) -> str:
    """For a terminal."""
    parts = [
        "\n".join(circumstances(group)) + "\n",
        *(part for each in group for part in sections(each, "##")),
    ]
    busy = [header["load"]["busy"] for each in group for header in each.headers]
    if max(busy) > BUSY:
        parts.append(
            f"WARNING: {max(busy):.0%} of the CPU time was in use: these figures are worth nothing\n"
        )
    return "\n".join(parts)


def pictures(group: Sequence[Results]) -> dict[str, str]:
    """File name → SVG. Of the first number of credentials."""
    results = group[0] if group else Results()
    lines = [
        plots.Line(name, state, median_line(results, state, name, size), dashed=state == "as they come")
        for name in results.controllers
        for state in ("as they come", "after a start")
        for size in [min((row["bytes"] for row in results.rows if "bytes" in row), default=0)]
    ]
    every = {
        name: [value for run in results.by_run("latency", name).values() for value in run]
        for name in results.controllers
    }
    made = {}
    if any(line.points for line in lines):
        made["bench-memory.svg"] = plots.memory([line for line in lines if line.points])
    if any(every.values()):
        made["bench-latency.svg"] = plots.latency({name: values for name, values in every.items() if values})
    return made


ALTERNATIVE_TEXTS = {
    "bench-memory.svg": "Resident memory against the number of foreign Secrets, a line for each controller",
    "bench-latency.svg": "Distribution of the rotation latency, a curve for each controller",
}


def section(group: Sequence[Results]) -> str:
    """What stands in the page between the two marks."""
    if not group:
        return "\nNone are published yet.\n\n"
    images = [f"![{ALTERNATIVE_TEXTS[name]}](images/{name})\n" for name in pictures(group)]
    parts = ["\n".join(circumstances(group)) + "\n", *images]
    parts += [part for each in group for part in sections(each, "###")]
    parts.append("All measurements, one JSON object a line: [results.jsonl](benchmarks/results.jsonl)\n")
    return "\n" + "\n".join(parts) + "\n"


def published() -> list[Results]:
    return read([DATA]) if DATA.exists() else []


def page(old: str, group: Sequence[Results]) -> str:
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + section(group) + END + after


def publish(lines: Sequence[str]) -> None:
    group = parse(lines)
    if problem := unfit(group):
        sys.exit(f"not published: {problem}")
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text("".join(f"{line}\n" for line in lines))
    PAGE.write_text(page(PAGE.read_text(), group))
    for name in ALTERNATIVE_TEXTS:
        (IMAGES / name).unlink(missing_ok=True)
    for name, picture in pictures(group).items():
        (IMAGES / name).write_text(picture)


def busiest(group: Sequence[Results]) -> float:
    """The largest share of the CPU time that was in use before anything of ours ran."""
    before = [header["load"]["busy"] for each in group for header in each.headers]
    return max([*before, *(row["value"] for each in group for row in each.rows if row["what"] == "busy")])


def unfit(group: Sequence[Results]) -> str:
    """Why these figures may not stand together on a page."""
    headers = [header for each in group for header in each.headers]
    if (busy := busiest(group)) > BUSY:
        return f"{busy:.0%} of the machine's CPU time was in use by others"
    for name in ("machine", "versions"):
        if any(header[name] != headers[0][name] for header in headers):
            return f"the {name} of the files differ"
    of: dict[str, set[str]] = {}
    for header in headers:
        for name, facts in header["programs"].items():
            of.setdefault(name, set()).add(facts["sha256"])
    if differ := [name for name, sums in of.items() if len(sums) > 1]:
        return f"the files are about different builds of {', '.join(differ)}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS")
    parser.add_argument(
        "--publish", action="store_true", help="write docs/benchmarks.md and what belongs to it"
    )
    options = parser.parse_args()
    lines = [line for file in options.results for line in file.read_text().splitlines()]
    if options.publish:
        publish(lines)
    else:
        print(text(parse(lines)))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
