"""Requests to the API server, and a watch, with as little Python in between as possible.

What the client costs is part of every figure. So connections are kept, nothing is decoded that is not looked
at, writers are processes of their own, and an event's time is taken when its bytes have been read."""

import base64
import http.client
import json
import signal
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml
from harness import die_with_us

WRITERS = 8
MOST_IDLE = 30  # seconds; after 90 the API server ends a quiet connection


class Failure(Exception):
    """A measurement cannot go on; the text says what was missing."""


class Request(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None = None


class Client:
    """One connection, kept. Not to be shared between threads or processes."""

    def __init__(self, kubeconfig: Path):
        self.host, self.port, self._tls = server_of(kubeconfig)
        self._connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=self._tls)
        self._used = 0.0

    def send(self, request: Request) -> bytes:
        if time.monotonic() - self._used > MOST_IDLE:
            self._connection.close()  # a new one is made by itself
        body = None if request.body is None else json.dumps(request.body).encode()
        self._connection.request(
            request.method, request.path, body, {"Content-Type": "application/json"} if body else {}
        )
        answer = self._connection.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        if answer.status >= 300:
            # Without the body: it may repeat what was sent.
            raise Failure(f"{request.method} {request.path}: the API server answered {answer.status}")
        return text

    def get(self, path: str) -> dict[str, Any]:
        return json.loads(self.send(Request("GET", path)))

    def list(self, path: str) -> Iterator[dict[str, Any]]:
        rest = ""
        while True:
            page = self.get(f"{path}?limit=500{rest}")
            yield from page["items"]
            if not (token := page["metadata"].get("continue")):
                return
            rest = f"&continue={token}"

    def close(self) -> None:
        self._connection.close()


class Watch:
    """Events of objects from now on, each with the time (of time.monotonic) at which it had arrived."""

    def __init__(self, client: Client, path: str, query: str = ""):
        version = client.get(f"{path}?limit=1")["metadata"]["resourceVersion"]
        raw = http.client.HTTPSConnection(client.host, client.port, timeout=30, context=client._tls)
        raw.connect()
        self._socket = raw.sock
        # HTTP/1.0: the answer is the events and nothing else, no chunks.
        self._socket.sendall(
            f"GET {path}?watch=true&timeoutSeconds=3600&resourceVersion={version}{query} HTTP/1.0\r\n"
            f"Host: {client.host}\r\nAccept: application/json\r\n\r\n".encode()
        )
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._receive(30, "the watch's answer")
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1] != b"200":
            raise Failure(f"watch of {path}: {head.splitlines()[0].decode()}")

    def events(self, seconds: float, what: Callable[[], str]) -> Iterator[tuple[float, dict[str, Any]]]:
        """Endless, but for the deadline, which says what was missing."""
        deadline = time.monotonic() + seconds
        while True:
            received = self._receive(deadline - time.monotonic(), what)
            at = time.monotonic()
            *lines, self._rest = (self._rest + received).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Failure(f"the watch ended: {event['object'].get('message')}")
                yield at, event["object"]

    def _receive(self, seconds: float, what: str | Callable[[], str]) -> bytes:
        try:
            if seconds > 0:
                self._socket.settimeout(seconds)
                if received := self._socket.recv(1 << 18):
                    return received
                raise Failure("the API server closed the watch")
        except TimeoutError:
            pass
        raise Failure(f"the time is over; missing: {what if isinstance(what, str) else what()}")

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Span(NamedTuple):
    """When the first and the last of some requests were answered."""

    first: float
    last: float

    @property
    def seconds(self) -> float:
        return self.last - self.first


class Writers:
    """Processes that send requests as fast as the API server takes them, each on a connection of its own."""

    def __init__(self, kubeconfig: Path):
        self._pool = ProcessPoolExecutor(WRITERS, initializer=_begin, initargs=(kubeconfig,))

    def start(self, make: Callable[[Any], Request], subjects: Sequence[Any]) -> Callable[[float], Span]:
        """Sends make(subject) of each. The answer waits for the end, for so many seconds."""
        parts = [subjects[number::WRITERS] for number in range(WRITERS)]
        futures = [self._pool.submit(_send_all, make, part) for part in parts if part]

        def finish(seconds: float) -> Span:
            deadline = time.monotonic() + seconds
            try:
                spans = [future.result(max(0, deadline - time.monotonic())) for future in futures]
            except TimeoutError:
                raise Failure(f"{len(subjects)} writes took more than {seconds} s") from None
            return Span(min(span.first for span in spans), max(span.last for span in spans))

        return finish

    def send(self, make: Callable[[Any], Request], subjects: Sequence[Any], seconds: float = 300) -> None:
        if subjects:
            self.start(make, subjects)(seconds)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


_client: Client  # a writer's


def _begin(kubeconfig: Path) -> None:
    global _client
    die_with_us()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _client = Client(kubeconfig)


def _send_all(make: Callable[[Any], Request], subjects: Sequence[Any]) -> Span:
    times = []
    for subject in subjects:
        _client.send(make(subject))
        times.append(time.monotonic())
    return Span(times[0], times[-1])


def server_of(kubeconfig: Path) -> tuple[str, int, ssl.SSLContext]:
    """Of a kubeconfig with a client certificate, as tools/local-cluster writes them."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        for name in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[name]))
        pair.flush()
        tls.load_cert_chain(pair.name)
    address = urlsplit(cluster["server"])
    assert address.hostname and address.port
    return address.hostname, address.port, tls
