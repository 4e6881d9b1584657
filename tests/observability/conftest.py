"""Tests of what watches the operator: alerts, dashboard, runbooks.

    python -m pytest tests/observability

They render the chart, try the alerts with promtool, and let a Prometheus scrape a running operator, for which
they bring a cluster up as tests/cluster does, with its harness. SESSMTP_BIN=PATH names another binary,
relative to the repository's root.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))
