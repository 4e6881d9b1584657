"""Sends a mail every half a second with the login that is mounted at that time, as an application would that
wants to follow a rotation: it reads the files anew for each mail. Or with the one that it got at its start,
as most applications do.

    send_mail.py (FOLDER | env) CA_FILE

FOLDER is the mounted target: username, password, host, port, url. `env`: the variables SMTP_USERNAME and so
on. The server's certificate has to be of an authority in CA_FILE and for the host's name. Writes JSON lines:
{"sent": USER} or {"failed": REASON}.
"""

import json
import os
import smtplib
import ssl
import sys
import time
from email.message import EmailMessage
from pathlib import Path

KEYS = "username", "password", "host", "port", "url"


def login(folder: Path) -> dict[str, str]:
    """The kubelet replaces all files at once, by one link: what it points to now belongs together."""
    version = Path(os.path.realpath(folder / "..data"))
    return {name: (version / name).read_text() for name in KEYS}


def login_at_start() -> dict[str, str]:
    return {name: os.environ[f"SMTP_{name.upper()}"] for name in KEYS}


def send(target: dict[str, str], tls: ssl.SSLContext) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "shop@example.com", "customer@example.com"
    mail["Subject"] = "Your order"
    mail.set_content("It is on its way.")
    if target["url"].startswith("smtps:"):
        server = smtplib.SMTP_SSL(target["host"], int(target["port"]), timeout=10, context=tls)
    else:
        server = smtplib.SMTP(target["host"], int(target["port"]), timeout=10)
    with server:
        if not target["url"].startswith("smtps:"):
            server.starttls(context=tls)
        server.login(target["username"], target["password"])
        server.send_message(mail)


def main(where: str, ca_file: str) -> None:
    tls = ssl.create_default_context(cafile=ca_file)
    while True:
        target = login_at_start() if where == "env" else login(Path(where))
        try:
            send(target, tls)
            outcome = {"sent": target["username"]}
        except smtplib.SMTPResponseException as refused:
            outcome = {"failed": f"{refused.smtp_code} for {target['username']}"}
        except (OSError, smtplib.SMTPException) as failure:
            outcome = {"failed": repr(failure)}
        print(json.dumps(outcome), flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
