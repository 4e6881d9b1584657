"""The one thing of a node that the kernel does not tidy up by itself."""

import os
from pathlib import Path

from . import Failure

# Of these, kubelet demands in its cgroup all that the machine has. With version 2 a cgroup has what its
# parent hands down; from the node's cgroup on that is kubelet's work.
DEMANDED = {"cpu", "cpuset", "hugetlb", "memory", "pids"}


def hierarchies() -> list[Path]:
    """Where cgroups are made: one folder for each controller with version 1, one for all with version 2."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def make_cgroup(name: str) -> None:
    for hierarchy in hierarchies():
        try:
            hand_down(hierarchy)
            (hierarchy / name).mkdir()
        except OSError as problem:
            raise Failure(
                f"no cgroup for the node in {hierarchy}: {problem.strerror}; "
                "a container needs to be started with --privileged --cgroupns=host"
            ) from None


def hand_down(hierarchy: Path) -> None:
    if (hierarchy / "cgroup.controllers").exists():  # version 2
        control = hierarchy / "cgroup.subtree_control"
        there = set((hierarchy / "cgroup.controllers").read_text().split())
        if lacking := sorted((there & DEMANDED) - set(control.read_text().split())):
            control.write_text(" ".join(f"+{controller}" for controller in lacking))


def remove_cgroup(name: str) -> None:
    """With all below it. No process may be left in there."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            os.rmdir(folder)
