"""What the operator has to write, worked out by other means than its own code: Python's hmac and urllib."""

import base64
import hmac
import random
import re
import string
from dataclasses import dataclass
from urllib.parse import quote

SourceData = dict[str, str | bytes]  # what stands in a Secret

ISSUED: list["Key"] = []  # every key a test made, so that the run can end with a search for all of them


@dataclass(frozen=True)
class Key:
    """An IAM user's access key."""

    id: str
    secret: str

    @staticmethod
    def new() -> "Key":
        """Random, of the usual form. '+' and '/' are always there: they are what breaks URLs."""
        letters = string.ascii_letters + string.digits
        key = Key(
            "AKIA" + "".join(random.choices(string.ascii_uppercase + "234567", k=16)),
            "".join(random.choices(letters, k=19)) + "+/" + "".join(random.choices(letters, k=19)),
        )
        ISSUED.append(key)
        return key

    def password(self, region: str) -> str:
        return smtp_password(self.secret, region)


# The example of the AWS documentation.
EXAMPLE = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def smtp_password(secret: str, region: str) -> str:
    """As the Amazon SES Developer Guide describes it."""
    signature = ("AWS4" + secret).encode()
    for text in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, text.encode(), "sha256")
    return base64.b64encode(b"\x04" + signature).decode()


def smtp_password_v2(secret: str) -> str:
    """The form retired in 2019, without a region."""
    return base64.b64encode(b"\x02" + hmac.digest(secret.encode(), b"SendRawEmail", "sha256")).decode()


def mask(access_key_id: str) -> str:
    if re.fullmatch("AKIA[A-Z0-9]{16}", access_key_id):
        return access_key_id[:4] + "*" * 12 + access_key_id[-4:]
    return "****"


def target_data(
    key: Key, region: str, host: str = "", port: int = 587, scheme: str = "smtp"
) -> dict[str, str]:
    host = host or f"email-smtp.{region}.amazonaws.com"
    password = key.password(region)
    return {
        "username": key.id,
        "password": password,
        "host": host,
        "port": str(port),
        "region": region,
        "url": f"{scheme}://{quote(key.id, safe='')}:{quote(password, safe='')}@{host}:{port}",
    }


def additional_region(key: Key, region: str, port: int = 587, scheme: str = "smtp") -> dict[str, str]:
    """The keys that format Default adds for a region of spec.additionalRegions."""
    of_the_region = target_data(key, region, port=port, scheme=scheme)
    return {f"{name}.{region}": of_the_region[name] for name in ("password", "host", "url")}


# ---- sources as people make them -----------------------------------------------------------------------


def plain(key: Key, **more: str) -> SourceData:
    return {"accessKeyId": key.id, "secretAccessKey": key.secret} | more


def aws_env(key: Key, **more: str) -> SourceData:
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret} | more
