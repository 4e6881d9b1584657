"""Certificates and kubeconfigs. The openssl command makes the former: Python's library can only read them."""

import base64
import json
import re
import subprocess
from pathlib import Path

from . import Failure, last_lines


def certificate(
    folder: Path, name: str, user: str, groups: tuple[str, ...] = (), hosts: str = "", ca: bool = False
) -> None:
    """Makes NAME.crt and NAME.key: for a server when `hosts` are given, else for a client, whose CN is the
    user and whose every O is a group to Kubernetes. ca.crt and ca.key in the same folder sign it."""
    extensions = [f"basicConstraints=critical,CA:{str(ca).upper()}", "subjectKeyIdentifier=hash"]
    if ca:
        extensions += ["keyUsage=critical,keyCertSign,cRLSign"]
    else:
        extensions += ["keyUsage=critical,digitalSignature", "authorityKeyIdentifier=keyid"]
        extensions += (
            ["extendedKeyUsage=serverAuth", f"subjectAltName={hosts}"]
            if hosts
            else ["extendedKeyUsage=clientAuth"]
        )
    config = "\n".join(
        ["[req]", "distinguished_name=dn", "x509_extensions=ext", "[dn]", "[ext]", *extensions, ""]
    )
    subject = "".join(
        f"/{key}=" + re.sub(r"([\\/+])", r"\\\1", value)
        for key, value in [*(("O", group) for group in groups), ("CN", user)]
    )
    signer = [] if ca else ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    try:
        done = subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-config",
                "/dev/stdin",
                "-utf8",
                "-subj",
                subject,
                "-days",
                "365",
                *signer,
                "-keyout",
                folder / f"{name}.key",
                "-out",
                folder / f"{name}.crt",
            ],
            input=config.encode(),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise Failure("certificates need the `openssl` command, version 3 or newer") from None
    if done.returncode:
        raise Failure(f"openssl made no certificate for {user}:\n{last_lines(done.stderr)}")


def kubeconfig(pki: Path, name: str, cluster: str, server: str, namespace: str = "default") -> str:
    """For the certificate NAME in `pki`; everything inline, so that the text may be moved about."""

    def inline(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    return f"""\
apiVersion: v1
kind: Config
current-context: {cluster}
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {inline("ca.crt")}
users:
- name: {cluster}
  user:
    client-certificate-data: {inline(f"{name}.crt")}
    client-key-data: {inline(f"{name}.key")}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {cluster}
    namespace: {json.dumps(namespace)}
"""
