"""Completion in real shells, and `kubectl ses-smtp` by the real kubectl."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import BINARY, REGION, Cluster, World
from oracle import EXAMPLE, plain


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> str:
    """A PATH with the program under all its names, and kubectl."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("ses-smtp", "kubectl-ses_smtp", "kubectl_complete-ses_smtp"):
        (folder / name).symlink_to(Path(BINARY).resolve())
    (folder / "kubectl").symlink_to(cluster.info["kubectl"])
    return f"{folder}:{os.environ['PATH']}"


def run(path: str, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={"PATH": path, "HOME": "/nonexistent"} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def candidates(path: str, *words: str, **env: str) -> list[str]:
    done = run(path, "ses-smtp", "__complete", *words, **env)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, directive = done.stdout.splitlines()
    assert directive in (":0", ":4")
    return [line.split("\t")[0] for line in lines]


def helped(path: str, *command: str) -> str:
    done = run(path, "ses-smtp", *command, "--help")
    assert done.returncode == 0, done.stderr
    return done.stdout


def subcommands(path: str) -> list[str]:
    _, listed = helped(path).split("Subcommands:\n")
    return re.findall(r"^  (\S+)", listed, re.MULTILINE)


# ---- what completes ------------------------------------------------------------------------------------


def test_everything_of_the_help_completes(path: str) -> None:
    commands = subcommands(path)
    assert {"derive", "verify", "completion"} <= set(commands)
    assert candidates(path, "") == commands
    for command in commands:
        options = helped(path, command).split("\n\n\n")[0]  # without the examples
        flags = set(re.findall(r"^  (?:-\w,)*(--[a-z-]+)", options, re.MULTILINE))
        assert flags <= set(candidates(path, command, "-")), command
        for flag, values in re.findall(r"(--[a-z-]+) TEXT:\{([^}]+)\}", options):
            assert candidates(path, command, flag, "") == values.split(",")
            assert candidates(path, command, f"{flag}=") == [f"{flag}={value}" for value in values.split(",")]


def test_names_from_the_cluster(path: str, world: World, no_controller: None) -> None:
    world.write_source(plain(EXAMPLE, region=REGION), "shop-iam")
    for name in ("shop-mail", "shop-news", "other"):
        world.create_credential(name)
    env = {"KUBECONFIG": str(world.cluster.kubeconfig)}
    here = "-n", world.namespace
    assert candidates(path, "status", *here, "shop-", **env) == ["shop-mail", "shop-news"]
    assert candidates(path, "verify", *here, "--from-secret", "shop", **env) == ["shop-iam"]
    full = f"{world.namespace}/shop-m"
    assert candidates(path, "verify", "--from-credential", full, **env) == [f"{world.namespace}/shop-mail"]
    assert candidates(path, "status", f"--namespace={world.namespace[:-1]}", **env) == [
        f"--namespace={world.namespace}"
    ]


def test_a_cluster_that_is_silent_keeps_nobody_waiting(path: str, cluster: Cluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        text = cluster.kubeconfig.read_text()
        server = f"https://127.0.0.1:{deaf.getsockname()[1]}"
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(text.replace(cluster.info["server"], server))
        assert server in kubeconfig.read_text()
        began = time.monotonic()
        assert candidates(path, "status", "", KUBECONFIG=str(kubeconfig)) == []
        assert time.monotonic() - began < 5
    assert candidates(path, "status", "", KUBECONFIG="/nonexistent") == []


# ---- in shells -----------------------------------------------------------------------------------------


class Shell:
    """An interactive one on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, path: str):
        self._terminal, child = pty.openpty()
        env = {"PATH": path, "HOME": str(folder), "TERM": "vt100", "PS1": "ready> "}
        self._process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=child, stdout=child, stderr=child, start_new_session=True
        )
        os.close(child)
        self._seen = ""

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def wait_for(self, pattern: str, seconds: float = 20) -> str:
        """Reads until that appeared; what is there after it stays for the next."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._seen)):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._terminal], [], [], left)[0], self._seen
            self._seen += os.read(self._terminal, 65536).decode(errors="replace")
        self._seen = self._seen[found.end() :]
        return found[0]

    def completed(self, line: str) -> list[str]:
        """The words that a line has become after the Tab key."""
        self.type(line + "\t")
        self.type("\x01printf '<%s>' \x05; echo '<''end>'\n")  # to the beginning, to the end of the line
        return re.findall("<([^<>]*)>", self.wait_for(r"(<[^<>%]*>)+<end>"))[:-1]


SHELLS: dict[str, tuple[list[str], str]] = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(ses-smtp completion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "bindkey -e; autoload -Uz compinit && compinit -u -D; source <(ses-smtp completion zsh)",
    ),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path, path: str) -> Iterator[Shell]:
    command, setup = SHELLS[request.param]
    assert shutil.which(command[0]), f"{command[0]} is not installed: make parser-packages"
    shell = Shell(command, tmp_path, path)
    try:
        shell.type(f"{setup}; echo set''up\n")
        shell.wait_for("\nset?up\r|setup\r")
        yield shell
    finally:
        shell.close()


def test_the_tab_key(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "some-manifest.yaml").touch()
    assert shell.completed("ses-smtp ren") == ["ses-smtp", "render"]
    assert shell.completed("ses-smtp verify --from-c") == ["ses-smtp", "verify", "--from-credential"]
    assert shell.completed("ses-smtp derive -o js") == ["ses-smtp", "derive", "-o", "json"]
    assert shell.completed("ses-smtp status --output=js") == ["ses-smtp", "status", "--output=json"]
    assert shell.completed("ses-smtp verify --region us-gov-e") == [
        "ses-smtp",
        "verify",
        "--region",
        "us-gov-east-1",
    ]
    assert shell.completed("ses-smtp render -f some-m") == ["ses-smtp", "render", "-f", "some-manifest.yaml"]
    assert shell.completed("ses-smtp nonsense --x") == ["ses-smtp", "nonsense", "--x"]


# ---- as a plugin of kubectl ----------------------------------------------------------------------------


@pytest.fixture
def kubectl(path: str, cluster: Cluster, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *args: run(
        path, "kubectl", *args, KUBECONFIG=str(cluster.kubeconfig), KUBECACHEDIR=str(tmp_path / "cache")
    )


def test_the_plugin(kubectl: Callable[..., subprocess.CompletedProcess[str]], world: World) -> None:
    assert "/kubectl-ses_smtp\n" in kubectl("plugin", "list").stdout
    usage = kubectl("ses-smtp", "--help")
    assert usage.returncode == 0 and "Usage: kubectl ses-smtp [OPTIONS] SUBCOMMAND" in usage.stdout
    verify = kubectl("ses-smtp", "verify", "--help").stdout
    assert "\n  kubectl ses-smtp verify --from-secret shop/shop-mail\n" in verify
    assert not re.search(r"(?<!kubectl )\bses-smtp verify", verify)
    status = kubectl("ses-smtp", "status", "-n", world.namespace, "-o", "json")
    assert (status.returncode, status.stdout) == (0, "[]\n"), "flags after the name are the plugin's"
    lost = kubectl("ses-smtp", "status", "lost", "-n", world.namespace)
    assert lost.returncode == 1 and "kubectl ses-smtp status --namespace" in lost.stderr
    wrong = kubectl("ses-smtp", "rendr")
    assert wrong.returncode == 2 and "kubectl ses-smtp --help lists them" in wrong.stderr


def test_completion_of_the_plugin(
    kubectl: Callable[..., subprocess.CompletedProcess[str]], world: World, no_controller: None
) -> None:
    """What the completion of kubectl, in every shell, asks kubectl."""
    assert kubectl("__complete", "ses-smtp", "ren").stdout.startswith("render\t")
    world.create_credential("shop-mail")
    lines = kubectl("__complete", "ses-smtp", "status", "-n", world.namespace, "").stdout.splitlines()
    assert lines == ["shop-mail", ":4"]
