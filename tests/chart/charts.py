"""helm, and what it makes of the chart."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from harness import ROOT, program

NAME, NAMESPACE = "ses-smtp-operator", "ses-smtp-system"
CHART = ROOT / "charts" / NAME

Object = dict[str, Any]
Values = dict[str, Any]


def helm(*args: Any, kubeconfig: Path = Path(os.devnull)) -> subprocess.CompletedProcess[str]:
    """Reads and writes nothing of the user's own."""
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        own = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(kubeconfig)} | own
        return subprocess.run(
            [program("helm"), *map(str, args)], env=environment, capture_output=True, text=True, timeout=120
        )


class Objects(dict[tuple[str, str], Object]):
    """By kind and name. The namespace tells apart what has the same of both."""

    def the(self, kind: str, name: str = "", namespace: str = "") -> Object:
        """The only one of that kind, or the one of that name."""
        [found] = [
            item
            for item in self.of(kind)
            if name in ("", item["metadata"]["name"]) and namespace in ("", item["metadata"].get("namespace"))
        ]
        return found

    def of(self, kind: str) -> list[Object]:
        return [item for item in self.values() if item["kind"] == kind]


def parse(text: str) -> Objects:
    found = Objects()
    for item in filter(None, yaml.load_all(text, yaml.CSafeLoader)):
        meta = item["metadata"]
        key = item["kind"], "/".join(filter(None, [meta.get("namespace"), meta["name"]]))
        assert key not in found, f"{key} is made twice"
        found[key] = item
    return found


def template(
    values: Values, release: str = NAME, *args: Any, chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        return helm("template", release, chart, "--namespace", NAMESPACE, "--values", file.name, *args)


def render(values: Values | None = None, release: str = NAME, *args: Any) -> Objects:
    done = template(values or {}, release, *args)
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def refusal(values: Values) -> str:
    done = template(values)
    assert done.returncode != 0, "it was accepted"
    return done.stderr


def nested(values: dict[str, Any]) -> Values:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree: Values = {}
    for path, value in values.items():
        *above, last = path.split(".")
        place = tree
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return tree


def schema() -> Object:
    return json.loads((CHART / "values.schema.json").read_text())


# For a chart that is a dependency of another; they do nothing here.
FOR_PARENTS = {"global", "enabled"}


def documented_values() -> Iterator[str]:
    """Each value that the schema knows, down to those that may hold anything of their type."""

    def walk(node: Object, where: str) -> Iterator[str]:
        for name, inner in node["properties"].items():
            path = f"{where}{name}"
            if path not in FOR_PARENTS:
                yield from walk(inner, f"{path}.") if "properties" in inner else [path]

    yield from walk(schema(), "")
