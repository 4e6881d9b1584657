"""A TCP proxy that can fall silent. TLS goes through it untouched."""

import contextlib
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Connection:
    """One client's, and ours to the server: two threads carry bytes until it is frozen or cut."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self._ends = client, server
        self._frozen = False
        for source, sink in (self._ends, self._ends[::-1]):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def freeze(self) -> None:
        """From now on nothing arrives, in neither direction, and nobody is told: both ends stay open."""
        self._frozen = True

    def cut(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):  # closed already
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._frozen:
                    return
                sink.sendall(data)
            if not self._frozen:
                sink.shutdown(socket.SHUT_WR)


class Proxy:
    kubeconfig: Path  # that leads through it

    def __init__(self, server: str):
        self._server = urlsplit(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[Connection] = []
        self._freezing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._listener.close()
        self.cut()

    def detour(self, kubeconfig: Path) -> Path:
        """A kubeconfig with this proxy's address; the certificate is still expected to be the server's."""
        content = yaml.safe_load(kubeconfig.read_text())
        content["clusters"][0]["cluster"] |= {
            "server": f"https://localhost:{self._listener.getsockname()[1]}",
            "tls-server-name": "kubernetes.default.svc",
        }
        path = kubeconfig.with_name(f"{kubeconfig.name}-by-proxy")
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    def freeze(self) -> None:
        """All connections fall silent, and those to come."""
        self._freezing = True
        for connection in self._connections:
            connection.freeze()

    def thaw(self) -> None:
        """New connections pass; the frozen ones stay as they are."""
        self._freezing = False

    def cut(self) -> None:
        for connection in self._connections:
            connection.cut()
        self._connections.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection((self._server.hostname, self._server.port))
                except OSError:
                    client.close()
                    continue
                self._connections.append(Connection(client, server))
                if self._freezing:
                    self._connections[-1].freeze()
