"""A proxy between clients and an API server, under a test's control.

A plain one carries TLS as it is. One that is `reading` ends TLS on both sides: it is the server to its
clients, by a certificate of the cluster's authority, and the user of a kubeconfig to the server. So it sees
requests, may answer some itself, and knows where an answer begins. A bearer token passes through, but where
the kubeconfig has a client certificate, that is who asks.
"""

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import certificates
import yaml

HOSTS = "localhost", "kubernetes.default.svc"
T = TypeVar("T")


class Request(NamedTuple):
    at: float  # time.monotonic()
    method: str
    path: str  # with its query
    token: str = ""  # the bearer's

    @property
    def watches(self) -> bool:
        return "watch=" in self.path


class Answer(NamedTuple):
    """One of the proxy's own, in place of the server's."""

    code: int
    headers: tuple[str, ...] = ()  # "Retry-After: 1"
    body: str = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure"})

    def encode(self) -> bytes:
        head = f"HTTP/1.1 {self.code} By the proxy", *self.headers, "Content-Type: application/json"
        return "\r\n".join([*head, f"Content-Length: {len(self.body)}", "", self.body]).encode()


@dataclass(eq=False)
class Connection:
    """One client's, and ours to the server."""

    frozen: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    request: Request | None = None  # the last one
    head: bytes | None = None  # of its answer, as far as it has come; None: it has come
    body: int = 0  # how much of its answer has come

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Every method may be called at any time, from any thread; what it does has happened when it returns."""

    kubeconfig: Path  # that leads through it

    def __init__(
        self, server: str, inward: ssl.SSLContext | None = None, outward: ssl.SSLContext | None = None
    ):
        self.inward = inward  # TLS with clients; another one is for connections to come
        self.connections = 0  # that clients have made so far
        self.requests: list[Request] = []
        self.torn = 0  # answers that `tear` has cut
        self._outward = outward
        self._server = urlsplit(server)
        self._open: set[Connection] = set()
        self._freezing = self._refusing = False
        self._answer: Callable[[Request], Answer | None] = lambda request: None
        self._pace: tuple[int, float] | None = None
        self._tears, self._tears_after = 0, 0
        self._torn_ones: Callable[[Request], bool] = lambda request: True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def reading(kubeconfig: Path, authority: Path) -> "Proxy":
        """One that ends TLS. `authority` is a folder with the ca.crt that the kubeconfig trusts and its
        ca.key."""
        content = yaml.safe_load(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        outward = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pem:
                pem.write(base64.b64decode(user["client-certificate-data"]))
                pem.write(base64.b64decode(user["client-key-data"]))
                pem.flush()
                outward.load_cert_chain(pem.name)
        return Proxy(cluster["server"], certificates.context(authority, HOSTS), outward)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def reads(self) -> bool:
        return self._outward is not None

    @property
    def address(self) -> str:
        return f"https://localhost:{self._listener.getsockname()[1]}"

    def detour(self, kubeconfig: Path) -> Path:
        """A kubeconfig with this proxy's address; the certificate is still expected to be the server's."""
        content = yaml.safe_load(kubeconfig.read_text())
        content["clusters"][0]["cluster"] |= {"server": self.address, "tls-server-name": HOSTS[1]}
        path = kubeconfig.with_name(f"{kubeconfig.name}-by-proxy")
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    # ---- faults

    def cut(self) -> None:
        """All connections end, as with a load balancer that is replaced. New ones pass."""
        self._do(lambda: [connection.cut() for connection in self._open])

    def freeze(self) -> None:
        """All connections fall silent, and those to come: nothing arrives, in neither direction, and nobody
        is told; both ends stay open."""

        def do() -> None:
            self._freezing = True
            for connection in self._open:
                connection.frozen = True

        self._do(do)

    def thaw(self) -> None:
        """New connections pass; the frozen ones stay as they are."""
        self._freezing = False

    def refuse(self) -> None:
        """All connections end, and those to come at once."""
        self._refusing = True
        self.cut()

    def admit(self) -> None:
        self._refusing = False

    def trickle(self, count: int, seconds: float) -> None:
        """From now on the server's bytes arrive so many at a time, each time after so long; 0: as they
        come."""
        self._pace = (count, seconds) if count else None

    # ---- faults of one that reads

    def answer(self, rule: Callable[[Request], Answer | None]) -> None:
        """From now on each request that the rule has an answer for gets that one; the server never hears
        of it."""
        self._answer = rule

    def pass_all(self) -> None:
        """No answers of our own any more, no tears, no delays."""
        self.answer(lambda request: None)
        self.tear(0)
        self.trickle(0, 0)

    def tear(
        self, count: int, after: int = 100, which: Callable[[Request], bool] = lambda request: request.watches
    ) -> None:
        """The next so many answers to such requests end, and their connections, after that much of their
        body."""

        def do() -> None:
            self._tears, self._tears_after, self._torn_ones = count, after, which

        self._do(do)

    # ---- on its own thread

    def _do(self, what: Callable[[], object]) -> None:
        async def call() -> None:
            what()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        accepting.cancel()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(accepting, *self._tasks, return_exceptions=True))
        self._listener.close()
        self._loop.close()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            self.connections += 1
            if self._refusing:
                client.close()
                continue
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        connection = Connection(self._freezing)
        self._open.add(connection)
        try:
            if connection.frozen:
                await asyncio.Event().wait()
            reader, writer = await streams(client, self.inward)
            connection.writers.append(writer)
            from_server, to_server = await asyncio.open_connection(
                self._server.hostname, self._server.port, ssl=self._outward
            )
            connection.writers.append(to_server)
            for one in connection.writers:
                one.transport.set_write_buffer_limits(1, 0)  # what was sent has left when we cut
            upward = self._requests if self._outward else self._bytes
            both = [
                self._loop.create_task(upward(connection, reader, to_server)),
                self._loop.create_task(self._answers(connection, from_server, writer)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the client or the server went away, or we do
        finally:
            connection.cut()
            client.close()
            self._open.discard(connection)

    async def _bytes(
        self, connection: Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65536):
            await self._send(connection, sink, data)
        await self._silence(connection)

    async def _requests(
        self, connection: Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the client's end
            while True:
                head = await source.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                fields = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:])
                }
                body = await source.readexactly(int(fields.get("content-length", "0")))
                method, path, _ = lines[0].split(" ")
                token = fields.get("authorization", "").removeprefix("Bearer ")
                request = Request(time.monotonic(), method, path, token)
                self.requests.append(request)
                if answer := self._answer(request):
                    await self._send(connection, connection.writers[0], answer.encode())
                    continue
                connection.request, connection.head, connection.body = request, b"", 0
                await self._send(connection, sink, head + body)
        await self._silence(connection)

    async def _answers(
        self, connection: Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65536):
            if (left := self._left(connection, data)) is not None:
                await self._send(connection, sink, data[:left])
                return
            while data:
                count, seconds = self._pace or (len(data), 0)
                await asyncio.sleep(seconds)
                await self._send(connection, sink, data[:count])
                data = data[count:]
        await self._silence(connection)

    def _left(self, connection: Connection, data: bytes) -> int | None:
        """How much of this still arrives, if the answer is torn here."""
        if connection.request is None:
            return None
        begin = 0
        if connection.head is not None:
            known = len(connection.head)
            connection.head += data
            end = connection.head.find(b"\r\n\r\n")
            if end < 0:
                return None
            begin, connection.head = end + 4 - known, None
        before, connection.body = connection.body, connection.body + len(data) - begin
        if not self._tears or connection.body <= self._tears_after or not self._torn_ones(connection.request):
            return None
        self._tears -= 1
        self.torn += 1
        return begin + max(0, self._tears_after - before)

    async def _send(self, connection: Connection, sink: asyncio.StreamWriter, data: bytes) -> None:
        await self._silence(connection)
        sink.write(data)
        await sink.drain()

    @staticmethod
    async def _silence(connection: Connection) -> None:
        if connection.frozen:
            await asyncio.Event().wait()


async def streams(
    client: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Of a connection that was accepted."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    client.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
