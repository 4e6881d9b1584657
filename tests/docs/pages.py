"""What the documentation says, in pieces that can be checked."""

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "SECURITY.md"])


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language, and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def objects(self) -> list[Any]:
        return [each for each in yaml.safe_load_all(self.text) if each is not None]

    @property
    def commands(self) -> list[list[str]]:
        """Of a shell script: the words of each command, lines that are continued joined."""
        text = self.text.replace("\\\n", " ").replace("|\n", "| ")
        found = []
        for line in text.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;"):
                    if words:
                        found.append(words)
                    words = []
                else:
                    words.append(word)
        return found


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
            line = text[: match.start()].count("\n") + 1
            name = str(page.relative_to(ROOT))
            found.append(Block(name, line, match[2], textwrap.dedent(match[3])))
    return found


def is_object(value: Any) -> bool:
    return isinstance(value, dict) and "apiVersion" in value and "kind" in value


BLOCKS = blocks()
YAML = [block for block in BLOCKS if block.language == "yaml"]
SHELL = [block for block in BLOCKS if block.language == "shell"]
OBJECTS = [(block, each) for block in YAML for each in block.objects if is_object(each)]
# What is no Kubernetes object is a file of values for the chart.
VALUES = [block for block in YAML if not any(map(is_object, block.objects))]


def code_in(page: str) -> list[str]:
    """What stands between backticks in the text of a page."""
    text = (DOCS / page).read_text()
    return re.findall(r"`([^`\n]+)`", re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE))


def rows(page: str, first_column: str) -> list[list[str]]:
    """The cells of the table whose first column is called that."""
    table = re.search(
        rf"^\| {re.escape(first_column)} \|.*\n\|[-|]+\n((?:\|.*\n)+)",
        (DOCS / page).read_text(),
        re.MULTILINE,
    )
    assert table, f"{page} has no table with {first_column}"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]
