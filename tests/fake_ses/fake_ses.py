"""Amazon SES as its SMTP clients see it: TLS or nothing, logins that are derived from access keys, and the
replies of its developer guide. Mails go nowhere.

    python3 -m fake_ses --host email-smtp.eu-west-1.amazonaws.com --keys keys.json \\
        --certificate server.crt --key server.key [--record mails.jsonl] \\
        [--starttls-port 587 …] [--tls-port 465 …]

--keys is a file of access key ids and their secret access keys, {"AKIA…": "…"}, read again for each login; a
key that is no longer in there has been revoked. The region follows from the host, whose part this plays.
Passwords are worked out here, by Python's hmac. A port of 0 is one that is free.

It writes JSON lines, to standard output unless --record says where, and never a password:
    {"listening": {"starttls": [PORT, …], "tls": [PORT, …]}}      (always to standard output, too)
    {"mail": {"user", "region", "tls": "starttls" | "implicit", "from", "to", "subject", "id"}}
    {"refused": {"user", "region", "tls", "code"}}
"""

import argparse
import asyncio
import base64
import email
import hmac
import json
import re
import secrets
import ssl
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

INVALID = "535 Authentication Credentials Invalid"


def smtp_password(secret_access_key: str, region: str) -> str:
    """Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials"."""
    signature = b"AWS4" + secret_access_key.encode()
    for text in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, text.encode(), "sha256")
    return base64.b64encode(b"\x04" + signature).decode()


def region_of(host: str) -> str:
    found = re.fullmatch(r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com", host)
    if not found:
        raise ValueError(f"{host} is no SMTP endpoint of Amazon SES")
    return found[1]


class FakeSes:
    """What the connections share. `record` gets each line as a dict."""

    def __init__(self, host: str, keys: Path, tls: ssl.SSLContext, record: Callable[[dict], None]):
        self.host, self.region, self.keys, self.tls, self.record = host, region_of(host), keys, tls, record

    async def listen(self, address: str, port: int, implicit: bool) -> int:
        """The port on which it listens, with TLS from the first byte or by STARTTLS."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self, implicit, loop), address, port, ssl=self.tls if implicit else None
        )
        return server.sockets[0].getsockname()[1]

    def password_of(self, access_key_id: str) -> str | None:
        secret = json.loads(self.keys.read_text()).get(access_key_id)
        return secret and smtp_password(secret, self.region)


class Connection(SMTP):
    # What SES asks for at AUTH LOGIN, and what clients that read it expect. aiosmtpd has other words.
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, ses: FakeSes, implicit: bool, loop: asyncio.AbstractEventLoop):
        self.ses, self.mode = ses, "implicit" if implicit else "starttls"
        with warnings.catch_warnings():
            # With TLS from the first byte aiosmtpd knows of none, and warns that logins would be readable.
            warnings.simplefilter("ignore")
            super().__init__(
                self,
                hostname=ses.host,
                ident="ESMTP SimpleEmailService-fake",
                tls_context=None if implicit else ses.tls,
                require_starttls=not implicit,
                auth_require_tls=not implicit,
                auth_required=True,
                authenticator=self.log_in,
                loop=loop,
            )

    def log_in(
        self, _: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user = data.login.decode(errors="replace")
        expected = self.ses.password_of(user)
        if expected and hmac.compare_digest(expected.encode(), data.password):
            return AuthResult(success=True, message="235 Authentication successful.", auth_data=data)
        self.note("refused", user, code=535)
        return AuthResult(success=False, handled=False, message=INVALID)

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        message_id = secrets.token_hex(20)
        self.note(
            "mail",
            session.auth_data.login.decode(),
            **{"from": envelope.mail_from, "to": envelope.rcpt_tos},
            subject=email.message_from_bytes(envelope.content)["Subject"],
            id=message_id,
        )
        return f"250 Ok {message_id}"

    def note(self, what: str, user: str, **more: object) -> None:
        self.ses.record({what: {"user": user, "region": self.ses.region, "tls": self.mode} | more})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", required=True)
    parser.add_argument("--keys", required=True, type=Path)
    parser.add_argument("--certificate", required=True, type=Path)
    parser.add_argument("--key", required=True, type=Path)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--starttls-port", type=int, action="append", default=[])
    parser.add_argument("--tls-port", type=int, action="append", default=[])
    args = parser.parse_args()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(args.certificate, args.key)
    record = args.record.open("a") if args.record else sys.stdout
    ses = FakeSes(args.host, args.keys, tls, lambda line: print(json.dumps(line), file=record, flush=True))

    async def serve() -> None:
        ports = {
            "starttls": [await ses.listen(args.address, port, False) for port in args.starttls_port],
            "tls": [await ses.listen(args.address, port, True) for port in args.tls_port],
        }
        print(json.dumps({"listening": ports}), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
