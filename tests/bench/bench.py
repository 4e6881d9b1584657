#!/usr/bin/env python3
"""Measures the shipped program beside two reference controllers, on control planes of this machine.

`make bench` runs it. It prints each figure as it comes and tables at the end, and writes all of it to
build/bench/results.jsonl, which tests/bench/report.py reads. Each run of each controller has a cluster of its
own; the order of the controllers alternates. What a controller says is in build/bench/logs/."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import cluster_path  # noqa: F401
import machine
import phases
import report
from client import Failure
from controllers import OURS, PROGRAMS, Program
from harness import ROOT
from results import Results, Row, percentile, read

FOLDER = ROOT / "build/bench"
PHASES = ("cold", "latency", "burst", "restart", "memory", "idle")
MEMORY_RUNS = 3


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder = options, folder
        self.sizes = phases.Sizes(options.credentials, options.foreign, options.large, options.idle_minutes)
        self.programs: list[Program] = []
        self.failed = False
        self.file: Path = options.output.absolute()
        self.results = Results()
        if options.resume and self.file.exists():
            found = read([self.file])
            if [each.options["credentials"] for each in found] != [options.credentials]:
                sys.exit(f"{self.file} is not about {options.credentials} credentials: name another --output")
            [self.results] = found
        else:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text("")

    def run(self) -> int:
        self.prepare()
        for number in range(1, self.options.runs + 1):
            order = self.programs if number % 2 else self.programs[::-1]
            for program in list(order):
                if {"cold", "latency", "burst", "restart"} & self.options.only:
                    self.unit(program, number, "work", self.work)
        for number in range(1, min(MEMORY_RUNS, self.options.runs) + 1):
            order = self.programs if number % 2 else self.programs[::-1]
            for program in list(order):
                if "memory" in self.options.only:
                    self.unit(program, number, "memory", self.memory)
        if "idle" in self.options.only:
            self.idle()
        print("\n" + report.text([self.results]))
        print(f"All of it: {machine.relative(self.file)}")
        return 1 if self.failed or OURS in self.results.dropped else 0

    def prepare(self) -> None:
        ready: list[Program] = []
        for name in self.options.controllers:
            try:
                PROGRAMS[name].prepare()
                phases.smoke(PROGRAMS[name], self.folder, self.log(PROGRAMS[name]))
                ready.append(PROGRAMS[name])
            except (Failure, AssertionError) as problem:
                self.drop(name, str(problem), before=True)
        self.programs = ready
        header = {"what": "header"} | machine.facts()
        machine.warn_unless_idle(header["load"])
        header["programs"] = {program.name: program.facts() for program in ready}
        header["options"] = {
            "controllers": list(self.options.controllers),
            "credentials": self.sizes.credentials,
            "runs": self.options.runs,
            "memoryRuns": min(MEMORY_RUNS, self.options.runs),
            "foreign": self.sizes.foreign,
            "large": self.sizes.large,
            "idleMinutes": self.sizes.idle_minutes,
        }
        self.write(header)

    # -- the parts

    def work(self, program: Program, number: int) -> list[Row]:
        return self.collect(
            program, number, lambda emit: phases.work(
                program, self.sizes, self.options.only, self.folder, self.log(program), emit
            )
        )  # fmt: skip

    def memory(self, program: Program, number: int) -> list[Row]:
        return self.collect(
            program,
            number,
            lambda emit: phases.memory(program, self.sizes, self.folder, self.log(program), emit),
        )

    def idle(self) -> None:
        if not self.programs or any(row["what"] == "idle ticks" for row in self.results.rows):
            return
        try:
            rows = self.collect(
                None, 1, lambda emit: phases.idle(self.programs, self.sizes, self.folder, self.log, emit)
            )
        except (Failure, AssertionError) as problem:
            self.failed = True
            print(f"idle: not measured: {problem}", file=sys.stderr)
        else:
            self.write(*rows)

    def unit(
        self, program: Program, number: int, part: str, measure: Callable[[Program, int], list[Row]]
    ) -> None:
        """One run of one controller. It is in the file as a whole, or not at all."""
        done = {"controller": program.name, "run": number, "part": part}
        if any(done.items() <= row.items() for row in self.results.rows):
            return
        try:
            busy = machine.busy(1)
            rows = [{"what": "busy", "value": round(busy, 3), "unit": "of the CPU time"} | done]
            rows += measure(program, number)
        except (Failure, AssertionError) as problem:
            self.drop(program.name, f"{problem} ({part}, run {number})")
        else:
            self.write(*(row | {"part": part} for row in rows))

    def collect(
        self, program: Program | None, number: int, measure: Callable[[Callable[..., None]], None]
    ) -> list[Row]:
        rows: list[Row] = []

        def emit(what: str, value: Any, unit: str, controller: str = "", **more: Any) -> None:
            name = controller or (program.name if program else "")
            value = round(value, 4) if isinstance(value, float) else value
            row = {"controller": name, "run": number, "what": what, "value": value, "unit": unit}
            rows.append(row | more)
            about = "".join(f", {key} {text}" for key, text in more.items())
            print(
                f"run {number}/{self.options.runs}  {name:13} {what}: {brief(value)} {unit}{about}",
                flush=True,
            )

        measure(emit)
        return rows

    def drop(self, name: str, reason: str, **more: Any) -> None:
        line = " ".join(reason.split()).removeprefix(f"{name}: ")
        print(f"{name} is left out, without ratios: {line}", file=sys.stderr, flush=True)
        self.programs = [program for program in self.programs if program.name != name]
        self.write({"what": "dropped", "controller": name, "reason": line} | more)

    def write(self, *rows: Row) -> None:
        with open(self.file, "a") as file:
            for row in rows:
                self.results.add(row)
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def log(self, program: Program) -> Path:
        (logs := FOLDER / "logs").mkdir(parents=True, exist_ok=True)
        return logs / f"{program.name}.log"


def brief(value: Any) -> str:
    if isinstance(value, list):
        points = ((f"p{100 * share:g}", percentile(value, share)) for share in (0.5, 0.9, 0.99, 1))
        return ", ".join(f"{name} {number:.2f}" for name, number in points)
    if isinstance(value, dict):
        return ", ".join(f"{key} {number}" for key, number in value.items()) or "none"
    return str(value)


def interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def names(of: tuple[str, ...]) -> Callable[[str], list[str]]:
        def split(text: str) -> list[str]:
            parts = text.replace(",", " ").split()
            if unknown := set(parts) - set(of):
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(of)}")
            return parts

        return split

    def number(name: str, default: float, text: str) -> None:
        kind = type(default)
        parser.add_argument(name, type=kind, default=default, metavar="N", help=f"{text} (%(default)s)")

    number("--credentials", 1000, "how many SesSmtpCredentials")
    number("--runs", 5, f"of each controller; memory takes at most {MEMORY_RUNS}")
    number("--idle-minutes", 10.0, "how long nothing happens")
    number("--foreign", 10000, "Secrets of others, of 4 KiB")
    number("--large", 300, "Secrets of others, of 512 KiB")
    parser.add_argument("--controllers", type=names(tuple(PROGRAMS)), default=list(PROGRAMS), metavar="NAMES",
                        help=f"which of {', '.join(PROGRAMS)} (all)")  # fmt: skip
    parser.add_argument("--only", type=names(PHASES), default=list(PHASES), metavar="PHASES",
                        help=f"which of {', '.join(PHASES)} (all)")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on with what the output has already")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.jsonl", metavar="FILE")
    options = parser.parse_args()
    options.only = set(options.only)
    return options


def main() -> int:
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, interrupted)  # unwinds as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="ses-smtp-bench-") as folder:
        os.chmod(folder, 0o700)  # keys of API users
        try:
            return Bench(parse(), Path(folder)).run()
        except KeyboardInterrupt:
            print("interrupted: RESUME=1 (--resume) goes on after the last whole run", file=sys.stderr)
            return 130


if __name__ == "__main__":
    sys.exit(main())
