"""Tests of the chart and of deploy/: what helm makes of values, what it refuses, what an API server says.

    python -m pytest tests/chart

SESSMTP_TEST_CLUSTER=NAME uses a cluster that is up, and leaves it up.
"""

import os
from collections.abc import Iterator

import pytest
from harness import Cluster, unique


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    name = os.environ.get("SESSMTP_TEST_CLUSTER")
    cluster = Cluster(name) if name else Cluster.up(unique("chart"))
    yield cluster
    if not name:
        cluster.down()
