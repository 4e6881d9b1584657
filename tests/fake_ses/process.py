"""The fake SES as a process of its own, for tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import fake_ses
from conduct import Conduct
from harness import die_with_us, wait_for


class Key(Protocol):
    id: str
    secret: str


class Server:
    """It runs from the start and ends with stop(), with `with`, or with the test run, however that ends.

    Its certificates are of the authority in FOLDER/authority, or of another that is given (servers may share
    one), for the host, localhost, 127.0.0.1 and ::1. No key is accepted at first."""

    def __init__(
        self,
        folder: Path,
        host: str = "email-smtp.eu-west-1.amazonaws.com",
        *options: str,
        region: str = "eu-west-1",
        authority: Path | None = None,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._keys, self._conduct, self.record = (folder / name for name in ("keys", "conduct", "record"))
        self._log = folder / "log"
        self._command = [sys.executable, fake_ses.__file__, f"--host={host}", f"--region={region}", *options]
        self._command += [f"--make-certificates={authority or folder / 'authority'}", f"--keys={self._keys}"]
        self._command += [f"--conduct={self._conduct}", f"--record={self.record}"]
        self._process: subprocess.Popen[str] | None = None
        self.starttls_port = self.tls_port = 0
        self.record.touch()
        self.accept()
        self.conduct()
        self.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Again, after a stop(): on the same ports, and with the same authority."""
        assert self._process is None
        ports = f"--starttls-port={self.starttls_port}", f"--tls-port={self.tls_port}"
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._command, *ports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=die_with_us,
            )
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"the fake SES did not start:\n{self.log()}")
        hello = json.loads(line)
        [self.starttls_port], [self.tls_port] = hello["listening"]["starttls"], hello["listening"]["tls"]
        self.ca = Path(hello["ca"])

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()  # nothing, when it has ended
            process.wait()
            process.stdout.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What it wrote to standard error: nothing, when all is well."""
        return self._log.read_text()

    def accept(self, *keys: Key) -> None:
        """From now on exactly these keys are active."""
        _write(self._keys, {key.id: key.secret for key in keys})

    def conduct(self, **members: Any) -> None:
        """For the connections to come; conduct.py says what there is. Without members it behaves well."""
        Conduct(**members)
        _write(self._conduct, members)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """What it noted of that kind; fake_ses.py says what there is."""
        *lines, _ = self.record.read_text().split("\n")  # the last may be half written
        return [line[kind] for line in map(json.loads, lines) if kind in line]

    def forget(self) -> None:
        """The records begin anew."""
        os.truncate(self.record, 0)

    def logins(self) -> list[dict[str, Any]]:
        return self.records("login")

    def connections(self) -> list[dict[str, Any]]:
        return self.records("connected")

    def wait_for_record(
        self, kind: str, after: int = 0, seconds: float = 15, **members: Any
    ) -> dict[str, Any]:
        """The first of that kind with these members, or the first after so many of them."""

        def found() -> dict[str, Any] | None:
            alike = [one for one in self.records(kind) if members.items() <= one.items()]
            return alike[after] if len(alike) > after else None

        what = f"record {after + 1} of {kind} with {members}"
        return wait_for(what, found, seconds, lambda: self.record.read_text() + self.log())


def _write(file: Path, value: object) -> None:
    """At once: a reader sees the old or the new."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(value))
    os.replace(new, file)
