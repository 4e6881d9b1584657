"""What a figure depends on besides the program: the machine, and the versions of all that takes part."""

import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controllers import TICKS, output
from harness import LOCAL_CLUSTER, ROOT

IDLE_SHARE = 0.10


def facts() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": {
            "cpu": cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "memoryMiB": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
            "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
            "ticksPerSecond": TICKS,
        },
        "versions": dict(part.rsplit(" ", 1) for part in output(str(LOCAL_CLUSTER), "--version").split(", "))
        | {"python": platform.python_version()},
        "load": {"average": os.getloadavg()[0], "busy": round(busy(), 3)},
    }


def commit() -> str:
    """With a mark when files differ from it; empty outside of a git clone."""
    try:
        name = output("git", "rev-parse", "--short=12", "HEAD")
        changed = output("git", "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + (" with changes" if changed else "")


def cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def busy(seconds: float = 2) -> float:
    """The share of all cores' time that was used."""

    def times() -> list[int]:
        return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    before = times()
    time.sleep(seconds)
    spent = [after - was for after, was in zip(times(), before)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))  # idle, and waiting for a disk


def warn_unless_idle(load: dict[str, float]) -> None:
    if load["busy"] > IDLE_SHARE:
        print(
            f"WARNING: this machine is not idle ({load['busy']:.0%} of its CPU time is in use): "
            "these figures are worth nothing",
            file=sys.stderr,
        )


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
