"""The clusters of this machine, as their folders tell of them."""

import contextlib
import json
import secrets
import shutil
import signal
from pathlib import Path

from . import CLUSTERS, Failure
from .cgroups import remove_cgroup
from .processes import alive, end

STARTING, READY, FAILED, DEAD = "starting", "ready", "failed", "dead"


def names() -> list[str]:
    return sorted(path.parent.name for path in CLUSTERS.glob("[!.]*/state.json"))


def read_state(name: str) -> dict | None:
    """What the supervisor wrote last; DEAD when it is no longer there to write."""
    try:
        state = json.loads((CLUSTERS / name / "state.json").read_text())
    except FileNotFoundError:
        return None
    if state["state"] != FAILED and not alive(state["supervisor"]):
        state |= {"state": DEAD, "reason": "its supervisor was killed"}
    return state


def write_state(folder: Path, state: dict) -> None:
    (folder / "state.new").write_text(json.dumps(state, indent=2) + "\n")
    (folder / "state.new").rename(folder / "state.json")


def remove(folder: Path) -> None:
    """Out of sight first: nobody ever meets a half-removed cluster."""
    doomed = folder.with_name(f".removed-{secrets.token_hex(6)}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def take_down(name: str) -> bool:
    """Ends a cluster, whatever its state, and removes its folder; False when there is none."""
    if not (state := read_state(name)):
        return False
    if not end(state["supervisor"], signal.SIGTERM, 30):
        end(state["supervisor"], signal.SIGKILL, 10)
    for process in filter(
        None, state["components"].values()
    ):  # they went with the supervisor, or are about to
        if not end(process, signal.SIGKILL, 10):
            raise Failure(f"process {process['pid']} of cluster {name} does not end")
    if "cgroup" in state:
        remove_cgroup(state["cgroup"])
    if (left := read_state(name)) and left["supervisor"] == state[
        "supervisor"
    ]:  # else a new one of that name
        remove(CLUSTERS / name)
    return True
