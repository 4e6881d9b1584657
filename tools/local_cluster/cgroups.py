"""The one thing of a node that the kernel does not tidy up by itself."""

import os
from pathlib import Path


def hierarchies() -> list[Path]:
    """Where cgroups are made: one folder for each controller with version 1, one for all with version 2."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def make_cgroup(name: str) -> None:
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir()


def remove_cgroup(name: str) -> None:
    """With all below it. No process may be left in there."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            os.rmdir(folder)
