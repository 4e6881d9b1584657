"""A page of docs/consumers: what it applies, and what it refers to in Secrets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pages import DOCS, YAML, rows

FOLDER = DOCS / "consumers"
INDEX = "consumers/index.md"
NOT_RUN = "Not run against the real application"


@dataclass(frozen=True)
class Reference:
    """To a key of a Secret, or to the Secret as a whole."""

    secret: str
    key: str | None = None

    def __str__(self) -> str:
        return f"key {self.key} of Secret {self.secret}" if self.key else f"Secret {self.secret}"


@dataclass(frozen=True)
class ConsumerPage:
    file: Path

    def __str__(self) -> str:
        return self.file.stem

    @cached_property
    def text(self) -> str:
        return self.file.read_text()

    @cached_property
    def objects(self) -> list[Any]:
        """What it applies."""
        return [each for block in YAML if Path(block.page).name == self.file.name for each in block.objects]

    @property
    def credentials(self) -> list[Any]:
        return [each for each in self.objects if each["kind"] == "SesSmtpCredential"]

    @cached_property
    def values(self) -> list[Any]:
        """Files for other tools, such as the values of a chart: their blocks have a title."""
        blocks = re.findall(r'^```yaml title="[^"]+"\n(.*?)^```$', self.text, re.DOTALL | re.MULTILINE)
        return [each for block in blocks for each in yaml.safe_load_all(block)]

    @cached_property
    def references(self) -> set[Reference]:
        workloads = [each for each in self.objects if each["kind"] != "SesSmtpCredential"]
        return set(references(workloads + self.values)) | set(self.mounted_files)

    @cached_property
    def mounted_files(self) -> list[Reference]:
        """What the page names below a folder where a whole Secret is mounted."""
        found = []
        for spec in filter(lambda part: "containers" in part, dicts(self.objects)):
            secrets = {
                volume["name"]: volume["secret"]["secretName"]
                for volume in spec.get("volumes", [])
                if "secret" in volume and "items" not in volume["secret"]
            }
            for container in spec.get("initContainers", []) + spec["containers"]:
                for mount in container.get("volumeMounts", []):
                    if secret := secrets.get(mount["name"]):
                        names = re.findall(rf"{re.escape(mount['mountPath'])}/([\w.-]*\w)", self.text)
                        found += [Reference(secret, name) for name in names if name != "..data"]
        return found

    def tells_to_make(self, reference: Reference) -> bool:
        """A Secret that is the reader's own."""
        return f"`{reference.secret}`" in self.text and (
            not reference.key or f"`{reference.key}`" in self.text
        )

    @cached_property
    def variables(self) -> set[str]:
        """The environment variables that its code cannot do without."""
        return set(re.findall(r'(?:os\.environ\["|ENV\.fetch\("|process\.env\.)(\w+)', self.text))


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """All that are in there, at any depth."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from dicts(each)


def references(values: Any) -> Iterator[Reference]:
    """In the forms of Kubernetes, and in those of the charts and tools that the pages have values for."""
    for part in dicts(values):
        for name, value in part.items():
            match name, value:
                case "secretKeyRef", {"name": secret, "key": key}:
                    yield Reference(secret, key)
                case "secretRef", {"name": secret}:
                    yield Reference(secret)
                case "secret", {"secretName": secret, "items": items}:
                    yield from (Reference(secret, item["key"]) for item in items)
                case "secret", {"secretName": secret}:
                    yield Reference(secret)
                case "secret", {"name": secret, "items": items}:  # in a projected volume
                    yield from (Reference(secret, item["key"]) for item in items)
                case "secret", str() as secret:  # GitLab
                    yield Reference(secret, part["key"])
                case "envFromSecrets", list() as secrets:  # Grafana
                    yield from (Reference(secret["name"]) for secret in secrets)
        if part.get("kind") == "Secret" and "valuesKey" in part:  # Flux
            yield Reference(part["name"], part["valuesKey"])


PAGES = [ConsumerPage(file) for file in sorted(FOLDER.glob("*.md")) if file.name != "index.md"]


def indexed(column: int) -> dict[str, set[str]]:
    """The pages of the table, and a column of it; each way of a page has a row."""
    found: dict[str, set[str]] = {}
    for consumer, *rest in rows(INDEX, "consumer"):
        link = re.search(r"\((\w+)\.md", consumer)
        assert link, f"{consumer} has no page"
        found.setdefault(link[1], set()).add(rest[column].strip("`"))
    return found


def tried() -> dict[str, set[str]]:
    return indexed(0)


def security() -> dict[str, set[str]]:
    return indexed(-1)
