"""The parts of tools/local-cluster, from the bottom up: processes, programs, credentials, control_plane,
clusters (what stands in a cluster's folder) and supervisor."""

import os
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ses-smtp-operator"
CLUSTERS, BINARIES = CACHE / "clusters", CACHE / "bin"
HOST = "127.0.0.1"  # the only address anything here binds


class Failure(Exception):
    """Something the person at the terminal should read; never shown with a stack trace."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def last_lines(log: bytes, count: int = 12) -> str:
    return "\n".join("    " + line for line in log.decode(errors="replace").splitlines()[-count:])
