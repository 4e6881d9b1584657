"""The documentation, held against the things it describes: the API server, the chart, the programs.

python -m pytest tests/docs
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, program, unique
from pages import ROOT


@pytest.fixture(scope="session")
def site() -> Path:
    """The site as it is published. A broken link or anchor ends the build."""
    done = subprocess.run([ROOT / "tools/docs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / "build/docs"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.for_operator(unique("docs")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def helm() -> str:
    return program("helm")
