"""The programs of a cluster, built once per machine from the Go modules pinned beside this folder."""

import fcntl
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import BINARIES, Failure, last_lines, say
from .processes import dies_with_us, pidfd

TOOLS = Path(__file__).resolve().parent.parent


def module_version(folder: str, module: str) -> str:
    return re.search(rf"\b{re.escape(module)} (v\S+)", (TOOLS / folder / "go.mod").read_text())[1]


@dataclass(frozen=True)
class Program:
    """A program of a pinned module. Another one is a `tool` line in its go.mod and a row in a list below."""

    name: str
    package: str
    folder: str  # in tools/, with go.mod and go.sum
    module: str  # the one whose version is the program's
    usually: str  # how long its first build takes on two cores

    @property
    def version(self) -> str:
        return module_version(self.folder, self.module)

    @property
    def flags(self) -> list[str]:
        """Kubernetes and helm learn their version from the linker; else it says v0.0.0, in its clients'
        names too, and helm renders charts for a Kubernetes 1.20."""
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        stamp = {
            "k8s.io/component-base/version.gitVersion": self.version,
            "k8s.io/client-go/pkg/version.gitVersion": self.version,
            "k8s.io/component-base/version.gitMajor": major,
            "k8s.io/component-base/version.gitMinor": minor,
        }
        if self.folder == "helm":
            _, k8s_minor, _ = module_version("kubernetes", "k8s.io/kubernetes").split(".", 2)
            stamp = {
                "helm.sh/helm/v3/internal/version.version": self.version,
                "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": "1",
                "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": k8s_minor,
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1",
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": k8s_minor,
            }
        ldflags = "-s -w" + "".join(f" -X {variable}={value}" for variable, value in stamp.items())
        return ["-mod=readonly", "-trimpath", "-ldflags", ldflags]

    def path(self) -> Path:
        """Where the program is, or will be once it is built."""
        if given := os.environ.get("KUBEBUILDER_ASSETS"):
            if os.access(path := Path(given).absolute() / self.name, os.X_OK):
                return path
        sources = [(TOOLS / self.folder / file).read_bytes() for file in ("go.mod", "go.sum")]
        key = hashlib.sha256(b"\0".join([*sources, *map(str.encode, self.flags)])).hexdigest()[:12]
        return BINARIES / f"{self.name}-{self.version}-{key}" / self.name

    def build(self) -> Path:
        """Builds the program if need be: one process at a time, and whole or not at all."""
        if (path := self.path()).exists():
            return path
        BINARIES.mkdir(parents=True, exist_ok=True)
        with open(BINARIES / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another build of these programs to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path
            for stale in BINARIES.glob(".building-*"):  # of a build that was killed: we hold the lock
                shutil.rmtree(stale)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=BINARIES) as workshop:
                built = Path(workshop) / path.parent.name
                built.mkdir()
                self.go_build(built / self.name, workshop)
                built.rename(path.parent)
        return path

    def go_build(self, output: Path, workshop: str) -> None:
        require_go(self.name)
        what = f"building {self.name} {self.version}"
        say(f"{what} from Go modules, {self.usually}, once per machine")
        began, tty = time.monotonic(), sys.stderr.isatty()
        with tempfile.TemporaryFile() as log:
            go = subprocess.Popen(
                ["go", "build", *self.flags, "-o", output, self.package],
                cwd=TOOLS / self.folder,
                env=os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOTMPDIR": workshop},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=dies_with_us(signal.SIGKILL),
            )
            try:
                with pidfd(go.pid) as ended:
                    while not select.select([ended], [], [], 1 if tty else 30)[0]:
                        print(
                            f"  {what}: {time.monotonic() - began:.0f} s",
                            end="\r" if tty else "\n",
                            file=sys.stderr,
                            flush=True,
                        )
            except BaseException:
                os.killpg(go.pid, signal.SIGKILL)  # the compilers too; what they wrote goes with the workshop
                raise
            finally:
                status = go.wait()
            log.seek(0)
            if status:
                raise Failure(f"{what} failed:\n{last_lines(log.read())}")
        say(f"  built in {time.monotonic() - began:.0f} s" + " " * 40 * tty)


def require_go(program: str) -> None:
    """Go 1.21 fetches by itself the newer one that go.mod asks for; an older one fails with riddles."""
    need = f"building {program} needs Go 1.21 or newer"
    if not shutil.which("go"):
        raise Failure(f"{need}, and no `go` is on the PATH")
    text = subprocess.run(["go", "version"], capture_output=True, text=True, cwd="/").stdout
    found = re.search(r"go(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < (1, 21):
        raise Failure(f"{need}, and `go` on the PATH is {found[0]} (Debian 12's own is too old)")


def kubernetes(name: str, usually: str) -> Program:
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", "kubernetes", "k8s.io/kubernetes", usually)


# What every cluster runs, and the client that goes with it.
CONTROL_PLANE = (
    Program("etcd", "go.etcd.io/etcd/server/v3", "etcd", "go.etcd.io/etcd/server/v3", "about a minute"),
    kubernetes("kube-apiserver", "about 4 minutes"),
    kubernetes("kube-controller-manager", "about a minute"),
    kubernetes("kubectl", "about half a minute"),
)
# What a cluster with a node runs besides.
NODE = (
    kubernetes("kube-scheduler", "about half a minute"),
    kubernetes("kubelet", "about a minute"),
    kubernetes("kube-proxy", "about half a minute"),
)
# What makes and checks packages.
PACKAGING = (
    Program("helm", "helm.sh/helm/v3/cmd/helm", "helm", "helm.sh/helm/v3", "about a minute"),
    Program(
        "helm-docs",
        "github.com/norwoodj/helm-docs/cmd/helm-docs",
        "helm-docs",
        "github.com/norwoodj/helm-docs",
        "half a minute",
    ),
    Program(
        "kubeconform",
        "github.com/yannh/kubeconform/cmd/kubeconform",
        "kubeconform",
        "github.com/yannh/kubeconform",
        "seconds",
    ),
    Program(
        "actionlint",
        "github.com/rhysd/actionlint/cmd/actionlint",
        "actionlint",
        "github.com/rhysd/actionlint",
        "seconds",
    ),
)
ALL = {program.name: program for program in (*CONTROL_PLANE, *NODE, *PACKAGING)}
