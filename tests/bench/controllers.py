"""The programs that are compared: how each is built and run, and what the kernel says about it."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client import Failure
from harness import BINARY, LEASE, LEASE_NAMESPACE, ROOT, spawn

WORKERS = 8
TICKS = os.sysconf("SC_CLK_TCK")
OURS = "ses-smtp"
GO, RUST = ROOT / "tests/bench/reference-go", ROOT / "tests/bench/reference-rs"


@dataclass(frozen=True)
class Program:
    """`name` is also the API user that it runs as, so that the audit log tells its requests apart."""

    name: str
    path: Path
    arguments: tuple[str, ...]
    made_with: Callable[[], str]
    build: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Builds it, if that is to be done here."""
        if self.build:
            if not shutil.which(self.build[0]):
                raise Failure(f"{self.build[0]} is not installed")
            if not (ROOT / "tests/bench" / self.name).is_dir():
                raise Failure(f"there is no tests/bench/{self.name}")
            done = subprocess.run(self.build, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["no message"]
                error = next((line for line in lines if line.startswith("error")), lines[-1])
                raise Failure(f"`{' '.join(self.build[:2])}` failed: {error}")
        if not self.path.is_file():
            raise Failure(f"{self.path} does not exist")

    def facts(self) -> dict[str, str | int]:
        content = self.path.read_bytes()
        return {
            "madeWith": self.made_with(),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def command(self, kubeconfig: Path) -> list[str]:
        return [str(self.path), *(part.replace("KUBECONFIG", str(kubeconfig)) for part in self.arguments)]


REFERENCE = (
    "--kubeconfig=KUBECONFIG",
    f"--workers={WORKERS}",
    "--leader-elect=true",
    f"--lease-namespace={LEASE_NAMESPACE}",
    f"--lease-name={LEASE}",  # the one that the operator's Role lets it renew; each has a cluster of its own
    "--metrics-bind-address=0",
)


def first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    return found[1] if found else "of unknown version"


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            OURS,
            BINARY,
            (
                "controller",
                "--kubeconfig=KUBECONFIG",
                f"--max-concurrent-reconciles={WORKERS}",
                f"--leader-election-namespace={LEASE_NAMESPACE}",
                "--metrics-bind-address=127.0.0.1:0",
                "--health-probe-bind-address=127.0.0.1:0",
            ),
            lambda: output(str(BINARY), "--version").splitlines()[0],
        ),
        Program(
            "reference-go",
            ROOT / "build/bench/reference-go",
            REFERENCE,
            lambda: (
                f"controller-runtime {first(r'controller-runtime (v[0-9.]+)', GO / 'go.mod')}, "
                + output("go", "version").removeprefix("go version ").partition(" ")[0]
            ),
            (
                *("go", "build", "-C", "tests/bench/reference-go", "-trimpath", "-ldflags", "-s -w"),
                *("-o", "../../../build/bench/reference-go", "."),
            ),
        ),
        Program(
            "reference-rs",
            ROOT / "build/bench/rs/release/reference-rs",
            REFERENCE,
            lambda: (
                "kube-rs "
                + first(r'^kube = .*?"=([0-9.]+)"', RUST / "Cargo.toml")
                + ", "
                + output("rustc", "--version").partition(" (")[0]
            ),
            (
                *("cargo", "build", "--release", "--manifest-path", "tests/bench/reference-rs/Cargo.toml"),
                *("--target-dir", "build/bench/rs"),
            ),
        ),
    )
}


def ticks(pid: int) -> int:
    """CPU time of a process in the kernel's ticks, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class Process:
    """A program that runs, or ran. What it says is kept in a file over restarts."""

    def __init__(self, program: Program, kubeconfig: Path, log: Path):
        self.program, self.log = program, log
        self._command = program.command(kubeconfig)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """The moment before it existed."""
        began = time.monotonic()
        self._process = spawn(self._command, self.log)
        return began

    def check(self) -> None:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise Failure(f"it ended by itself with status {status}: {lines[-1][:300]}")

    def stop(self) -> float:
        """How long it took from SIGTERM to its end."""
        self.check()
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            raise Failure("it did not end within 30 s of SIGTERM") from None
        if status != 0:
            raise Failure(f"it ended with status {status} after SIGTERM")
        return time.monotonic() - began

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()

    def memory(self) -> dict[str, int]:
        """In KiB: what it holds now, the most it ever held, and what is not backed by a file."""
        self.check()
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = dict(re.findall(r"^(VmRSS|VmHWM|RssAnon):\s+(\d+) kB$", status, re.MULTILINE))
        names = {"rss": "VmRSS", "peak": "VmHWM", "anonymous": "RssAnon"}
        return {name: int(found[field]) for name, field in names.items()}

    def ticks(self) -> int:
        self.check()
        assert self._process is not None
        return ticks(self._process.pid)
