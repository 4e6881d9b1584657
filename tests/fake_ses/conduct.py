"""How the fake SES misbehaves: a file with a JSON object, read again at each connection. Without a file, or
with an empty one, it does not. Its members, of which any may stand together:

    "login": "535 Authentication Credentials Invalid"   the answer to every login, 235 too
    "logins": {"AKIA…": "454 …"}                        the same for a user; wins
    "delay": SECONDS                                    before each answer to a login
    "greeting": "421 Too many …"                        instead of the banner; then it closes
    "hang": PLACE                                       silent from there on, and keeps the connection
    "cut": PLACE                                        closes there
    "garbage": "greeting" | "ehlo" | "login"            all 256 bytes instead of a reply; then silent
    "endless": "greeting" | "ehlo"                      a reply of lines without end
    "endless-line": "greeting" | "ehlo"                 a line without end
    "starttls": false                                   is not offered
                "refused"                               is offered, and answered with 454
                "plaintext"                             is answered with 220, and all stays readable
    "capabilities": ["XTEXT", …]                        more lines for the answer to EHLO
    "auth": false | ["LOGIN", "CRAM-MD5", …]            what is offered; only PLAIN and LOGIN work
    "auth_before_tls": true                             offered and taken without TLS, too
    "certificate": "expired" | "not-yet-valid" | "other-host" | "unknown-ca" | "self-signed"
    "tls": "1.0" | "1.1" | "1.2" | "1.3"                no other version

A PLACE is "greeting", "ehlo" (the first, which is before STARTTLS), "starttls" (the command), "tls" (the
handshake) or "login" (when the pair has arrived).
Each character of a text is the byte of that number; "\\n" begins another line of the same reply.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PLACES = {"greeting", "ehlo", "starttls", "tls", "login"}
CERTIFICATES = {"expired", "not-yet-valid", "other-host", "unknown-ca", "self-signed"}


@dataclass(frozen=True)
class Conduct:
    """ValueError or TypeError for a member that there is not."""

    login: str = ""
    logins: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    greeting: str = ""
    hang: str = ""
    cut: str = ""
    garbage: str = ""
    endless: str = ""
    endless_line: str = ""
    starttls: bool | str = True
    capabilities: tuple[str, ...] = ()
    auth: bool | tuple[str, ...] = True
    auth_before_tls: bool = False
    certificate: str = ""
    tls: str = ""

    def __post_init__(self) -> None:
        allowed = {
            "hang": PLACES,
            "cut": PLACES,
            "garbage": {"greeting", "ehlo", "login"},
            "endless": {"greeting", "ehlo"},
            "endless_line": {"greeting", "ehlo"},
            "starttls": {True, False, "refused", "plaintext"},
            "certificate": CERTIFICATES,
            "tls": {"1.0", "1.1", "1.2", "1.3"},
        }
        for name, values in allowed.items():
            value = getattr(self, name)
            if value != "" and value not in values:
                raise ValueError(f"{name}: {value!r} is none of {sorted(map(str, values))}")

    @staticmethod
    def of(members: Mapping[str, object]) -> "Conduct":
        return Conduct(**{name.replace("-", "_"): value for name, value in members.items()})

    @staticmethod
    def read(file: Path | None) -> "Conduct":
        text = file.read_text() if file and file.exists() else ""
        return Conduct.of(json.loads(text) if text.strip() else {})


def reply(text: str) -> bytes:
    """As it is sent, but for the end of the last line: "535 One\\nTwo" becomes 535-One and 535 Two."""
    first, *more = text.encode("latin-1").split(b"\n")
    lines = [first, *(first[:4] + line for line in more)]
    return b"\r\n".join([*(line[:3] + b"-" + line[4:] for line in lines[:-1]), lines[-1]])


def code(text: bytes) -> int:
    """0 for what is no reply."""
    found = re.match(rb"\d{3}(?=[ -]|\r|$)", text)
    return int(found[0]) if found else 0
