"""A Prometheus of our own, on loopback, that is set up from what the chart renders."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import yaml
from chart import Object
from harness import die_with_us, wait_for


def snake(fields: Object) -> Object:
    """A relabeling of a ServiceMonitor as one of Prometheus."""
    return {re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", name): value for name, value in fields.items()}


class Prometheus:
    """Scrapes one target each second, and evaluates the rules as often."""

    def __init__(self, folder: Path, target: str, monitor: Object, rules: list[Object]):
        endpoint = monitor["spec"]["endpoints"][0]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yaml")],
            "scrape_configs": [
                {
                    "job_name": "ses-smtp-operator-metrics",  # the Service's name, as a ServiceMonitor has it
                    "honor_labels": endpoint["honorLabels"],
                    "metrics_path": endpoint["path"],
                    "relabel_configs": list(map(snake, endpoint["relabelings"])),
                    "static_configs": [
                        {"targets": [target], "labels": {"namespace": "ses-smtp-system", "pod": "operator-0"}}
                    ],
                }
            ],
        }
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "ours", "rules": rules}]}))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.log = folder / "prometheus.log"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Prometheus":
        command = [
            "prometheus",
            f"--config.file={self.folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us
            )
        try:
            self.address = wait_for("Prometheus listens", self._listening, detail=self.log.read_text)
            wait_for("Prometheus is ready", self._ready, detail=self.log.read_text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listening(self) -> str | None:
        found = re.search(r'"address":"(127\.0\.0\.1:[1-9]\d*)"', self.log.read_text())
        return found and found[1]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except HTTPError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def label_values(self, label: str, selector: str) -> list[str]:
        return self.get(f"label/{label}/values", **{"match[]": selector})

    def alerts(self) -> dict[str, Object]:
        """The alerting rules by name, as Prometheus sees them; only when each has been evaluated."""
        [group] = self.get("rules", type="alert")["groups"]
        return {rule["name"]: rule for rule in group["rules"]}
