"""The documentation, held against the things it describes: the API server, the chart, the programs.

python -m pytest tests/docs
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, unique
from pages import ROOT


@pytest.fixture(scope="session")
def site() -> Path:
    """The site as it is published. A broken link or anchor ends the build."""
    done = subprocess.run([ROOT / "tools/docs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / "build/docs"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster.up(unique("docs"))
    try:
        cluster.install_crd()
        cluster.install_rbac()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def helm() -> str:
    return subprocess.run(
        [ROOT / "tools/program", "helm"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
