"""A command line or a kubeconfig that cannot work: one clear line and status 2."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from harness import BINARY, Cluster


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, "controller", *args],
        env={"HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def edited(cluster: Cluster, path: Path, edit: Callable[[dict], object]) -> Path:
    """A kubeconfig that was good before the edit."""
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))
    return path


BROKEN = {
    # what: (edit of a good kubeconfig, words of the message)
    "a context of an unknown cluster": (
        lambda c: c["contexts"][0]["context"].update(cluster="lost"),
        ["lost"],
    ),
    "a context of an unknown user": (lambda c: c["contexts"][0]["context"].update(user="lost"), ["lost"]),
    "an unknown current context": (lambda c: c.update({"current-context": "lost"}), ["lost"]),
    "no current context": (lambda c: c.pop("current-context"), ["current-context"]),
    "no server": (lambda c: c["clusters"][0]["cluster"].pop("server"), ["server"]),
    "a server that is no URL": (lambda c: c["clusters"][0]["cluster"].update(server="::"), ["server"]),
    "a CA file that is missing": (
        lambda c: c["clusters"][0].update(
            cluster={"server": "https://127.0.0.1:1", "certificate-authority": "lost.crt"}
        ),
        ["lost.crt"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_kubeconfig(cluster: Cluster, tmp_path: Path, what: str) -> None:
    edit, words = BROKEN[what]
    path = edited(cluster, tmp_path / "kubeconfig", edit)
    done = run("--kubeconfig", path)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert [word for word in [str(path), *words] if word not in line] == [], line


@pytest.mark.parametrize("text", ["{{{ not yaml", "just text", "", "[1, 2]", "\0\1\2"])
def test_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    done = run("--kubeconfig", path)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert str(path) in line


def test_missing_kubeconfig(tmp_path: Path) -> None:
    done = run("--kubeconfig", tmp_path / "lost")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert str(tmp_path / "lost") in line


def test_missing_context(cluster: Cluster) -> None:
    done = run("--kubeconfig", cluster.kubeconfig, "--context", "lost")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert "lost" in line and str(cluster.kubeconfig) in line and cluster.name in line, (
        "it names the contexts there are"
    )


def test_no_cluster_at_all() -> None:
    done = run()
    assert done.returncode == 2, done.stderr
    assert "--kubeconfig" in done.stderr


@pytest.mark.parametrize(
    "args, words",
    [
        # What it does not know is not repeated: it may be a secret that ended up there.
        (["--no-such-flag"], "--help"),
        (["stray"], "--help"),
        (["--log-level", "loud"], "{debug,error,info,warn}"),
        (["--log-format", "xml"], "{json,text}"),
        (["--watch-namespaces", "Not_A_Namespace"], "--watch-namespaces"),
        (["--kubeconfig"], "--kubeconfig"),
    ],
)
def test_usage_error(args: list[str], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def program(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_render_takes_files_with_and_without_the_flag(tmp_path: Path) -> None:
    spec = {"source": {"secretName": "iam"}, "region": "eu-west-1", "suspend": True}
    for name in "abc":
        thing = {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential"}
        text = yaml.safe_dump(thing | {"metadata": {"name": name}, "spec": spec})
        (tmp_path / f"{name}.yaml").write_text(text)
    done = program("render", tmp_path / "a.yaml", tmp_path / "b.yaml", "-f", tmp_path / "c.yaml")
    assert (done.returncode, done.stderr.count("suspended, nothing is written")) == (0, 3)
    nothing = program("render")
    assert (nothing.returncode, nothing.stdout) == (2, "") and "files" in nothing.stderr


def test_a_command_that_does_not_exist() -> None:
    mistyped, pasted = program("rendr"), program("AKIAIOSFODNN7EXAMPLE")
    assert mistyped.returncode == pasted.returncode == 2
    assert '"rendr" is not a command' in mistyped.stderr
    assert "AKIA" not in pasted.stderr, "what looks like no command may be a secret"
