"""Images that a node needs, made here: no registry is asked."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from . import CACHE, Failure, last_lines

PAUSE = "localhost/pause:1"
SOURCE = Path(__file__).with_name("pause.c")


def pause_image() -> Path:
    """An OCI archive with the program that holds a pod's namespaces, built once per machine."""
    archive = CACHE / "images" / f"pause-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.oci.tar"
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=archive.parent) as folder:
        work = Path(folder)
        buildah = ["buildah", f"--root={work}/root", f"--runroot={work}/run", "--storage-driver=vfs"]
        run("gcc", "-Os", "-static", "-s", "-o", work / "pause", SOURCE)
        container = run(*buildah, "from", "scratch")
        run(*buildah, "copy", "--quiet", container, work / "pause", "/pause")
        run(*buildah, "config", "--entrypoint", '["/pause"]', container)
        image = run(*buildah, "commit", "--quiet", "--timestamp=0", container)
        run(*buildah, "push", "--quiet", image, f"oci-archive:{work}/pause.oci.tar:{PAUSE}")
        (work / "pause.oci.tar").rename(archive)
    return archive


def run(*command: object) -> str:
    """What it printed, without the newline."""
    words = list(map(str, command))
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure(f"a node needs the command {words[0]}: `make node-tools` installs it") from None
    if done.returncode:
        raise Failure(f"{words[0]} failed:\n{last_lines(done.stderr.encode())}")
    return done.stdout.strip()
