"""The site builds, is complete, and needs nothing but a web server."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import DOCS, PAGES, ROOT

REPOSITORY = "https://github.com/ses-smtp-operator/ses-smtp-operator"
FETCHED = {"src", "srcset", "data", "poster", "action"}
FETCHED_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}


class Fetches(HTMLParser):
    """Addresses that a browser asks for by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.found += [value for name, value in given.items() if name in FETCHED]
        if tag == "link" and FETCHED_LINKS & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))
        if given.get("data-md-component") == "source":
            self.found.append("https://api.github.com")  # the theme's script asks there for numbers
        if "mermaid" in given.get("class", "").split():
            self.found.append("https://unpkg.com")  # and here for the program that draws


def test_builds_with_every_link_and_anchor_good(site: Path) -> None:
    assert (site / "index.html").exists()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    away = re.compile(r"(https?:)?//")
    for page in site.rglob("*.html"):
        parser = Fetches()
        parser.feed(page.read_text())
        assert parser.found, f"{page} loads nothing at all, not even a style"
        assert [address for address in parser.found if away.match(address)] == [], page
    for sheet in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        fetched = re.findall(r"(?:url\(|@import|href=)\s*[\"']?([^\"')\s]+)", sheet.read_text())
        assert [address for address in fetched if away.match(address)] == [], sheet


def test_search_finds_what_people_look_for(site: Path) -> None:
    entries = json.loads((site / "search/search_index.json").read_text())["docs"]
    where = {entry["location"] for entry in entries if "535" in entry["title"]}
    assert "troubleshooting/#535-authentication-credentials-invalid" in where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_that_are_linked_exist(page: Path) -> None:
    linked = re.findall(rf"{re.escape(REPOSITORY)}/(?:blob|tree)/main/([^)#\s]+)", page.read_text())
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_pictures_have_words_for_those_who_do_not_see_them() -> None:
    for page in PAGES:
        for words, picture in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text()):
            assert len(words) > 20, f"{page}: {picture}"
            assert "prefers-color-scheme: dark" in (page.parent / picture).read_text(), picture
    assert any(DOCS.glob("images/*.svg"))
