"""Certificates for servers, good and bad. The openssl command makes them: Python's library can only read
them. An authority is a folder with ca.crt and ca.key. Certificates themselves are never kept.
"""

import ssl
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

NAME = "server"
CONFIGURATION = """\
[ca]
default_ca = default
[default]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[req]
distinguished_name = policy
[ca_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


def make_authority(folder: Path) -> Path:
    """Its ca.crt. One that is there already stays."""
    if not (folder / "ca.crt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(folder, "ca", "Fake SES test CA", [], signer=None)
    return folder / "ca.crt"


def context(authority: Path, names: Sequence[str], kind: str = "", version: str = "") -> ssl.SSLContext:
    """For a server with these names, such as "localhost" and "127.0.0.1". `kind` is what is wrong with its
    certificate; `version` of TLS is the only one it speaks."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, signer, begin = Path(temporary), authority, -1
        if kind == "other-host":
            names = ["mail.example.com"]
        elif kind == "unknown-ca":
            signer = folder / "authority"
            make_authority(signer)
        elif kind == "self-signed":
            signer = None
        elif kind == "expired":
            begin = -90
        elif kind == "not-yet-valid":
            begin = 30
        _make(folder, NAME, names[0], names, signer, begin)
        return load(folder / f"{NAME}.crt", folder / f"{NAME}.key", version)


def load(certificate: Path, key: Path, version: str = "") -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if version:
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL has nothing for versions before 1.2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            wanted = ssl.TLSVersion["TLSv1" if version == "1.0" else f"TLSv{version.replace('.', '_')}"]
            tls.minimum_version, tls.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, wanted
            tls.minimum_version = wanted
    tls.load_cert_chain(certificate, key)
    return tls


def _make(
    folder: Path, name: str, subject: str, names: Sequence[str], signer: Path | None, begin: int = -1
) -> None:
    """NAME.crt and NAME.key, valid for sixty days, the first of which is `begin` days from now; without names
    those of an authority."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "index").touch()
        kinds = [
            ("IP:" if ":" in host or host.replace(".", "").isdigit() else "DNS:") + host for host in names
        ]
        (work / "conf").write_text(CONFIGURATION.format(folder=work, names=",".join(kinds) or "DNS:none"))
        key, request = folder / f"{name}.key", work / "request"
        new_key = "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key
        _openssl("req", "-config", work / "conf", *new_key, "-subj", f"/CN={subject}", "-out", request)
        start = datetime.now(UTC) + timedelta(days=begin)
        dates = [f"{day:%Y%m%d%H%M%SZ}" for day in (start, start + timedelta(days=60))]
        signed_by = ["-selfsign", "-keyfile", key]
        if signer:
            signed_by = ["-cert", signer / "ca.crt", "-keyfile", signer / "ca.key"]
        _openssl(
            *("ca", "-config", work / "conf", "-batch", "-notext", "-in", request, *signed_by),
            *("-startdate", dates[0], "-enddate", dates[1]),
            *("-extensions", "server_extensions" if names else "ca_extensions"),
            *("-out", folder / f"{name}.crt"),
        )


def _openssl(*args: str | Path) -> None:
    done = subprocess.run(["openssl", *args], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {args[0]} failed:\n{done.stderr.decode()}")
