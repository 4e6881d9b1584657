"""Kubernetes' own schemas, in the layout that kubeconform reads: one file for each kind.

They come from api/openapi-spec of the Kubernetes module, which the Go toolchain fetches and verifies, and are
kept in the cache folder.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charts import ROOT, Object

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ses-smtp-operator"
FILE = "{{ .ResourceKind }}{{ .KindSuffix }}.json"  # deployment-apps-v1.json, secret-v1.json


def version_here() -> str:
    """Of the API server that the tests run."""
    return re.search(r"k8s\.io/kubernetes (v\S+)", (ROOT / "tools/kubernetes/go.mod").read_text())[1]


def schemas(version: str) -> Path:
    """The folder with those of a version of Kubernetes."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = CACHE / f"schemas-{version}-{key}"
    if not folder.exists():
        spec = json.loads((module(version) / "api/openapi-spec/swagger.json").read_text())
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".schemas-") as workshop:
            made = Path(workshop) / "made"
            made.mkdir()
            for name, schema in kinds(spec["definitions"]):
                (made / name).write_text(json.dumps(schema))
            made.rename(folder)
    return folder


def module(version: str) -> Path:
    with tempfile.TemporaryDirectory() as elsewhere:  # in no module of ours
        done = subprocess.run(
            ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{version}"],
            cwd=elsewhere,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr + done.stdout
    return Path(json.loads(done.stdout)["Dir"])


def kinds(definitions: Object) -> Iterator[tuple[str, Object]]:
    strict = {name: closed(definition) for name, definition in definitions.items()}
    strict["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    strict["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    for name, definition in definitions.items():
        for what in definition.get("x-kubernetes-group-version-kind", []):
            group = what["group"].split(".")[0]
            file = "-".join(filter(None, [what["kind"].lower(), group, what["version"]])) + ".json"
            used = closure(name, strict)
            yield file, {"$ref": f"#/definitions/{name}", "definitions": {key: strict[key] for key in used}}


def closed(schema: Any) -> Any:
    """No field that is not known: the API server would drop it."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            inner["additionalProperties"] = False
    return inner


def closure(name: str, definitions: Object) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[one]))
    return found


def our_schema(folder: Path) -> None:
    """That of SesSmtpCredential, in the same layout."""
    crd = yaml.safe_load((ROOT / "crds/ses-smtp.dev_sessmtpcredentials.yaml").read_text())
    [version] = crd["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    (folder / f"sessmtpcredential-ses-smtp-{version['name']}.json").write_text(json.dumps(schema))
