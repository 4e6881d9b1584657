"""The container image that `make image` built: what is in it, and that it runs where nothing else is.

It runs in a chroot of the unpacked image, as its user, which needs root. Names are resolved by a server of
the test's own on the loopback network.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from name_server import answer
from oracle import EXAMPLE, Key
from process import Server as MailServer
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "build/image/ses-smtp-operator.oci.tar"
VERSION = (ROOT / "VERSION").read_text().strip()
NAMESERVER = "127.77.0.53"  # in the loopback network, and nobody else's
HOST = "api.image.test"
ROOTS = "etc/ssl/certs/ca-certificates.crt"

# Where code of the program comes from, as somebody found it who read the linker's map.
LINKED = {
    "boost1.74", "cli11", "cpprest", "curl", "fmtlib", "gcc-12", "nlohmann-json3", "openssl",
    "prometheus-cpp", "spdlog", "yaml-cpp",
}  # fmt: skip
CONTAINED = {"ca-certificates", "glibc"}


class Image:
    def __init__(self, folder: Path):
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder / "oci", filter="data")
        self.oci = folder / "oci"
        self.index = json.loads((self.oci / "index.json").read_text())
        self.manifest = self.blob(self.index["manifests"][0]["digest"])
        self.config = self.blob(self.manifest["config"]["digest"])
        self.root = folder / "root"
        self.members: list[tarfile.TarInfo] = []
        for layer in self.manifest["layers"]:
            with tarfile.open(self.path(layer["digest"])) as archive:
                self.members += archive.getmembers()
                archive.extractall(self.root, filter="tar")

    def path(self, digest: str) -> Path:
        return self.oci / "blobs" / digest.replace(":", "/")

    def blob(self, digest: str) -> dict:
        return json.loads(self.path(digest).read_text())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)  # the image's user has to get there
    return Image(folder)


@pytest.fixture(scope="module")
def sbom(image: Image) -> dict:
    return json.loads((ROOT / "build/image/sbom.spdx.json").read_text())


def run(root: Path, *arguments: str, **options) -> subprocess.Popen:
    command = ["chroot", "--userspec=65532:65532", "--groups=", str(root), "/ses-smtp", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, text=True, **(pipes | options))


# ---- what is in it -------------------------------------------------------------------------------------


def test_small_enough_to_be_pulled_in_a_moment(image: Image) -> None:
    assert sum(layer["size"] for layer in image.manifest["layers"]) < 8_000_000


def test_name_user_and_entry_point(image: Image) -> None:
    name = image.index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    assert name == f"ghcr.io/ses-smtp-operator/ses-smtp-operator:v{VERSION}"
    assert image.config["config"]["User"] == "65532:65532"
    assert image.config["config"]["Entrypoint"] == ["/ses-smtp"]
    assert "Cmd" not in image.config["config"]
    assert image.config["os"] == "linux"
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert image.config["architecture"] == machine.strip()


def test_labels_tell_what_it_is_and_of_which_commit(image: Image) -> None:
    labels = image.config["config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[prefix + "version"] == VERSION
    assert labels[prefix + "source"] == "https://github.com/ses-smtp-operator/ses-smtp-operator"
    assert labels[prefix + "licenses"] == "Apache-2.0"
    revision = labels[prefix + "revision"].removesuffix("-dirty")
    committed = ["git", "-C", str(ROOT), "show", "-s", "--format=%ct", revision]
    epoch = int(subprocess.run(committed, stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert labels[prefix + "created"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    assert {member.mtime for member in image.members} == {epoch}


def test_nothing_to_execute_but_the_program(image: Image) -> None:
    files = [member for member in image.members if member.isfile()]
    assert all(member.isfile() or member.isdir() or member.issym() for member in image.members)
    executable = sorted("/" + member.name for member in files if member.mode & 0o111)
    assert len(executable) == 2 and "/ses-smtp" in executable
    linker = next(path for path in executable if path != "/ses-smtp")
    assert re.fullmatch(r"/lib(64)?/ld-linux[\w.-]*\.so\.\d", linker)
    # Libraries need no x to be loaded, and the dynamic linker would start whatever has code.
    elf = {Path(file.name).name for file in files if (image.root / file.name).read_bytes()[:4] == b"\x7fELF"}
    assert elf == {"ses-smtp", Path(linker).name, "libc.so.6", "libm.so.6"}


def test_program_is_hardened(image: Image) -> None:
    told = subprocess.run(
        ["readelf", "--wide", "--file-header", "--segments", "--dynamic", str(image.root / "ses-smtp")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"Type: +DYN", told)  # loaded at an address that nobody knows
    assert "GNU_RELRO" in told and "BIND_NOW" in told
    assert re.search(r"GNU_STACK .* RW ", told)


def test_all_belongs_to_root_and_nobody_else_may_write(image: Image) -> None:
    for member in image.members:
        assert (member.uid, member.gid) == (0, 0), member.name
        if not member.issym():
            assert not member.mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), member.name


def test_user_is_known(image: Image) -> None:
    assert (
        "nonroot:x:65532:65532:nonroot:/:/nonexistent" in (image.root / "etc/passwd").read_text().splitlines()
    )


# ---- the bill of materials -----------------------------------------------------------------------------


def test_sbom_names_what_is_linked_and_what_lies_in_the_image(sbom: dict) -> None:
    names = {package["name"] for package in sbom["packages"]}
    assert names == LINKED | CONTAINED | {"ses-smtp-operator"}
    relations = {
        related["relatedSpdxElement"].removeprefix("SPDXRef-"): related["relationshipType"]
        for related in sbom["relationships"]
    }
    assert {name for name, relation in relations.items() if relation == "STATIC_LINK"} == LINKED
    assert (relations["glibc"], relations["ca-certificates"]) == ("DYNAMIC_LINK", "CONTAINS")


def test_sbom_tells_the_versions_that_the_program_tells_itself(image: Image, sbom: dict) -> None:
    versions = {package["name"]: package["versionInfo"] for package in sbom["packages"]}
    program = (image.root / "ses-smtp").read_bytes()
    library = next(image.root.glob("lib/*/libc.so.6")).read_bytes()
    openssl = re.search(rb"\0(3\.\d+\.\d+)\0", program)
    cpprest = re.search(rb"cpprestsdk/(\d+\.\d+\.\d+)\0", program)
    glibc = re.search(rb"Debian GLIBC ([^)]+)\)", library)
    assert openssl and versions["openssl"].startswith(openssl[1].decode() + "-")
    assert cpprest and versions["cpprest"].startswith(cpprest[1].decode() + "-")
    assert glibc and versions["glibc"] == glibc[1].decode()


def test_sbom_is_valid_and_goes_along(image: Image, sbom: dict) -> None:
    file = ROOT / "build/image/sbom.spdx.json"
    assert (image.root / "usr/share/sbom/ses-smtp-operator.spdx.json").read_bytes() == file.read_bytes()
    messages = validate_full_spdx_document(parse_file(str(file)))
    assert not messages, [message.validation_message for message in messages]


def test_licences_go_along(image: Image, sbom: dict) -> None:
    for package in sbom["packages"]:
        text = (image.root / "usr/share/doc" / package["name"] / "copyright").read_text()
        assert len(text) > 500, package["name"]
        for named in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text):
            assert (image.root / "usr/share/common-licenses" / named).exists(), (package["name"], named)


# ---- it runs -------------------------------------------------------------------------------------------


def test_program_runs(image: Image) -> None:
    process = run(image.root, "--version")
    assert process.communicate(timeout=30)[0] == f"ses-smtp {VERSION}\n"
    assert process.returncode == 0


class NameServer:
    """Answers questions for HOST with 127.0.0.1, and that every other name does not exist."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NAMESERVER, 53))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            query, client = self.socket.recvfrom(512)
            if not query:
                return
            self.socket.sendto(answer(query, {HOST: "127.0.0.1"}), client)

    def close(self) -> None:
        self.socket.sendto(b"", (NAMESERVER, 53))
        self.thread.join()
        self.socket.close()


class TlsServer:
    """Keeps the first line of each request that came over TLS."""

    def __init__(self, folder: Path) -> None:
        self.certificate, key = folder / "server.crt", folder / "server.key"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        command += ["-keyout", key, "-out", self.certificate, "-days", "1", "-subj", f"/CN={HOST}"]
        command += ["-addext", f"subjectAltName=DNS:{HOST}"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.requests: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            try:
                with self.context.wrap_socket(connection, server_side=True) as tls:
                    self.requests.append(tls.recv(4096).decode().split("\r\n")[0])
                    tls.sendall(
                        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
            except OSError:
                pass

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path_factory.mktemp("tls"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


@pytest.fixture
def root(image: Image, tmp_path: Path, name_server: NameServer) -> Iterator[Path]:
    """A copy of the image, with the file that kubelet would add."""
    root = image.root.parent / tmp_path.name
    shutil.copytree(image.root, root, symlinks=True)
    (root / "etc/resolv.conf").write_text(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:1\n")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def pod(root: Path, tls_server: TlsServer) -> Iterator[Callable]:
    """Starts a controller in it."""
    processes = []

    def start(host: str) -> "Pod":
        cluster = {"server": f"https://{host}:{tls_server.port}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pod",
            "clusters": [{"name": "pod", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"token": "of-no-worth"}}],
            "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
        }
        (root / "kubeconfig").write_text(yaml.safe_dump(config))
        nowhere = ["--metrics-bind-address=0", "--health-probe-bind-address=0", "--no-leader-elect"]
        process = run(root, "controller", "--kubeconfig=/kubeconfig", *nowhere)
        processes.append(process)
        return Pod(root, process)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


class Pod:
    def __init__(self, root: Path, process: subprocess.Popen):
        self.process = process

    def says(self, text: str, seconds: float = 30) -> str:
        """The first line of its log with the text in it."""
        lines: list[str] = []
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                lines.append(line)
                if text in line:
                    return line
        finally:
            timer.cancel()
        raise AssertionError(f"never said {text!r}, exit code {self.process.poll()}:\n{''.join(lines)}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


def test_unknown_server_is_told_of_and_survived(pod: Callable[[str], Pod], tls_server: TlsServer) -> None:
    controller = pod("nowhere.image.test")
    assert "cannot be resolved" in controller.says(f"nowhere.image.test:{tls_server.port}:")
    assert controller.stop() == 0


def test_name_is_resolved_and_an_unknown_certificate_refused(
    pod: Callable[[str], Pod], tls_server: TlsServer
) -> None:
    tls_server.requests.clear()
    controller = pod(HOST)
    assert "certificate" in controller.says(f"{HOST}:{tls_server.port}:")
    assert controller.stop() == 0
    assert not tls_server.requests


def test_system_roots_are_those_of_the_image(
    pod: Callable[[str], Pod], root: Path, tls_server: TlsServer
) -> None:
    roots = root / ROOTS
    assert roots.read_text().count("BEGIN CERTIFICATE") > 100
    with roots.open("a") as file:
        file.write(tls_server.certificate.read_text())
    tls_server.requests.clear()
    controller = pod(HOST)
    controller.says("HTTP 503")
    assert controller.stop() == 0
    assert tls_server.requests[0].startswith("GET /")


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path / "ses", HOST) as server:
        yield server


def log_in(root: Path, server: MailServer, key: Key) -> dict:
    endpoint = "--region=eu-west-1", f"--host={HOST}", f"--port={server.starttls_port}"
    arguments = "verify", *endpoint, f"--username={key.id}", "--output=json"
    process = run(root, *arguments, stdin=subprocess.PIPE)
    return json.loads(process.communicate(key.password("eu-west-1"), timeout=30)[0])


def test_login_trusts_the_roots_of_the_image(root: Path, mail_server: MailServer) -> None:
    """At a name that is resolved by the thread of libcurl which does that."""
    mail_server.accept(EXAMPLE)
    assert log_in(root, mail_server, EXAMPLE)["verdict"] == "CertificateInvalid"
    with (root / ROOTS).open("a") as file:
        file.write(mail_server.ca.read_text())
    assert log_in(root, mail_server, EXAMPLE)["verdict"] == "Authenticated"
    assert [login["code"] for login in mail_server.logins()] == [235]
