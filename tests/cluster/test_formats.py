"""What the target holds: formats, templates, and what becomes of it when they change."""

import base64
import itertools
import json
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from harness import REGION, ROOT, World, data_of, encode
from oracle import Key, additional_region, expand, format_data, plain, target_data, template_values
from targets import assert_untouched, wait_until_changed

from kube import ApiException, Object, status_of

FORMATS = ("Default", "BasicAuth", "Env", "ServiceBinding", "None")
NAMES = "username password host port region tls url previousUsername previousPassword".split()
OTHER = "eu-central-1"
CASES = json.loads((ROOT / "tests/templates.json").read_text())

pytestmark = pytest.mark.usefixtures("controller")


def synced(world: World, key: Key, **spec: Any) -> dict[str, str]:
    """What the target holds."""
    _, target = world.synced(key, **spec)
    return data_of(target)


def rendered(world: World, key: Key, *additional: str, **templates: str) -> dict[str, str]:
    spec = {"additionalRegions": list(additional)} if additional else {}
    return synced(world, key, target={"format": "None", "data": templates}, **spec)


# ---- formats -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize("name", FORMATS)
def test_format(world: World, name: str, port: int) -> None:
    """Each with a key more, and one of its keys replaced."""
    key = Key.new()
    values = template_values(key, REGION, port=port)
    expected = format_data(name, values) | {"more": values["url"]}
    replaced = next(iter(expected))
    expected[replaced] = f"<{values['username']}>"
    data = {"more": "$(url)", replaced: "<$(username)>"}
    assert synced(world, key, endpoint={"port": port}, target={"format": name, "data": data}) == expected


def test_default_has_keys_for_each_region(world: World) -> None:
    key = Key.new()
    data = synced(world, key, additionalRegions=[OTHER, "us-east-1"])
    assert data == target_data(key, REGION) | additional_region(key, OTHER) | additional_region(
        key, "us-east-1"
    )


# ---- templates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pick", ["", "|urlencode", "|base64", "|json"])
def test_every_reference(world: World, pick: str) -> None:
    key = Key.new()
    references = NAMES + [
        f"{name}@{region}" for name in ("password", "host", "url") for region in (OTHER, REGION)
    ]
    templates = {f"key-{number}": f"$({name}{pick})" for number, name in enumerate(references)}
    templates["all"] = "".join(f"<$({name}{pick})>\n" for name in references)
    values = template_values(key, REGION, OTHER)
    assert rendered(world, key, OTHER, **templates) == {
        name: expand(text, values) for name, text in templates.items()
    }


def test_text_stays_as_it_is(world: World) -> None:
    key = Key.new()
    texts = {
        "quotes": """ "double" 'single' `back` \\ \\n \\" """,
        "lines": "\n\na\r\nb\tc\n\n",
        "utf-8": "Grüße, 電子メール 📧 \u00a0\u2028",
        "dollars": "$$ $ $x ${HOST} $5 $",
        "not references": "$$(password) (password) $ (password)",
        "empty": "",
    }
    templates = {name.replace(" ", "-"): text + "$(username)" + text for name, text in texts.items()}
    data = rendered(world, key, **templates)
    values = template_values(key, REGION)
    assert data == {name: expand(text, values) for name, text in templates.items()}
    assert data["utf-8"] == texts["utf-8"] + key.id + texts["utf-8"]
    assert data["not-references"].startswith("$(password) (password) $ (password)" + key.id)


def test_rule_of_the_crd_and_parser_agree(world: World) -> None:
    """The unit tests hold the parser against the same file. Most of its texts were put together at random
    from pieces of the grammar, and sorted by a regular expression in Python."""

    def refusals(text: str) -> list[str]:
        spec = {"source": {"secretName": "iam"}, "target": {"data": {"key": text}}}
        body = {"metadata": {"name": "mail"}, "spec": spec}
        try:
            world.api.create("SesSmtpCredential", body, world.namespace, dryRun="All")
            return []
        except ApiException as error:
            return [cause["message"] for cause in status_of(error)["details"]["causes"]]

    with ThreadPoolExecutor(8) as pool:
        accepted = dict(zip(CASES["accepted"], pool.map(refusals, CASES["accepted"])))
        refused = dict(zip(CASES["refused"], pool.map(refusals, CASES["refused"])))
    assert {text: found for text, found in accepted.items() if found} == {}
    assert [text for text, found in refused.items() if "bad $(...) reference" not in "".join(found)] == []


# ---- when they change ----------------------------------------------------------------------------------


def assert_no_rotation(world: World, before: Object, after: Object) -> None:
    assert after["status"]["keySince"] == before["status"]["keySince"]
    assert "lastRotationTime" not in after["status"]
    assert world.events(reason="Rotated") == []


@pytest.mark.parametrize("first, second", list(itertools.permutations(FORMATS, 2)))
def test_another_format(world: World, first: str, second: str) -> None:
    """25, for every two formats."""
    key = Key.new()
    values = template_values(key, REGION, OTHER)

    def target(name: str, more: str) -> tuple[Object, dict[str, str]]:
        data = format_data(name, values) | {more: values["url"]}
        if name == "Default":
            data |= additional_region(key, OTHER)
        return {"format": name, "data": {more: "$(url)"}}, data

    spec, expected = target(first, "more")
    before, _ = world.synced(key, additionalRegions=[OTHER], target=spec)
    edited = world.change_secret(data={"note": encode("theirs")})
    assert data_of(edited) == expected | {"note": "theirs"}
    spec, expected = target(second, "other")
    world.change_credential(target=spec | {"data": spec["data"] | {"more": None}})
    after, changed = world.wait_synced()
    assert data_of(changed) == expected | {"note": "theirs"}
    assert after["status"]["target"]["uid"] == changed["metadata"]["uid"] == edited["metadata"]["uid"]
    assert_no_rotation(world, before, after)
    mark = world.cluster.now()
    world.settle()
    assert world.calls(mark, "mail", writes=True) == []


def test_without_a_readable_pair_a_touched_source_is_no_rotation(world: World) -> None:
    """With format None the pair may be nowhere to be seen: what it renders to is compared."""
    key = Key.new()
    before, first = world.synced(key, target={"format": "None", "data": {"key": "$(url|base64)"}})
    world.change_secret("iam", metadata={"annotations": {"touched": "yes"}})
    world.wait_for(
        "the touch is seen",
        lambda: world.credential()["status"]["source"] != before["status"]["source"],
        seconds=30,
    )
    after, target = world.wait_synced()
    assert_untouched(first, target)
    assert_no_rotation(world, before, after)
    # The same id with another secret.
    world.write_source(plain(Key(key.id, Key.new().secret), region=REGION))
    world.wait_event("Rotated")
    after, _ = wait_until_changed(world, first)
    assert after["status"]["lastRotationTime"] == after["status"]["keySince"]


# ---- through the parsers that read it ------------------------------------------------------------------

NODE = """
const {url, json, base64, query} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const at = new URL(url);
console.log(JSON.stringify({
  url: [at.protocol, decodeURIComponent(at.username), decodeURIComponent(at.password), at.hostname, at.port],
  json: JSON.parse(json),
  base64: Buffer.from(base64, 'base64').toString(),
  query: new URLSearchParams(query).get('password'),
}));
"""


def test_parsers_get_the_values_back(world: World) -> None:
    # Not every password has both.
    key = next(key for key in iter(Key.new, None) if {"+", "/"} <= set(key.password(REGION)))
    password, host = key.password(REGION), f"email-smtp.{REGION}.amazonaws.com"
    data = rendered(
        world,
        key,
        url="$(url)",
        json='{"user": "$(username|json)", "pass": "$(password|json)", "url": "$(url|json)"}',
        base64="$(password|base64)",
        query="user=$(username|urlencode)&password=$(password|urlencode)",
    )
    document = {"user": key.id, "pass": password, "url": data["url"]}

    url = urlsplit(data["url"])
    assert (url.scheme, url.hostname, url.port, url.path) == ("smtp", host, 587, "")
    assert (unquote(url.username), unquote(url.password)) == (key.id, password)
    assert json.loads(data["json"]) == document
    assert base64.b64decode(data["base64"], validate=True).decode() == password

    done = subprocess.run(
        ["node", "-e", NODE], input=json.dumps(data), capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(done.stdout) == {
        "url": ["smtp:", key.id, password, host, "587"],
        "json": document,
        "base64": password,
        "query": password,
    }


class Logins(socketserver.StreamRequestHandler):
    """As much of SMTP as a login takes. Keeps what was sent."""

    seen: list[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            verb, *words = line.decode().split()
            if verb == "AUTH":
                if len(words) == 1:
                    self.wfile.write(b"334 \r\n")
                    words.append(self.rfile.readline().decode())
                self.seen.append(base64.b64decode(words[1]).decode().split("\0")[1:])
                answer = b"235 yes\r\n"
            elif verb == "DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
                answer = b"250 yes\r\n"
            else:
                answer = {"EHLO": b"250-here\r\n250 AUTH PLAIN\r\n", "QUIT": b"221 bye\r\n"}.get(
                    verb, b"250 yes\r\n"
                )
            self.wfile.write(answer)


@contextmanager
def smtp_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Logins) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


CURL = {
    "the URL": 'url = "$(url)"\n',
    "user and password": 'url = "smtp://$(host):$(port)"\nuser = "$(username):$(password)"\n',
}


@pytest.mark.parametrize("what", CURL)
def test_curl_logs_in(world: World, what: str) -> None:
    key = Key.new()
    config = rendered(world, key, curlrc=CURL[what])["curlrc"]
    with smtp_server() as port:
        config += f'connect-to = "::127.0.0.1:{port}"\nnoproxy = "*"\nmail-from = "a@b.example"\n'
        config += 'mail-rcpt = "c@d.example"\nupload-file = "/dev/null"\n'
        done = subprocess.run(
            ["curl", "-q", "-sS", "-K", "-"],
            input=config,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert [key.id, key.password(REGION)] in Logins.seen
