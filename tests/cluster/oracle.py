"""What the operator has to write, worked out by other means than its own code: Python's hmac and urllib."""

import base64
import csv
import hmac
import json
import random
import re
import string
from configparser import ConfigParser
from dataclasses import dataclass
from io import StringIO
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


# What a template may refer to; values of a region as "host@eu-west-1".
TemplateValues = dict[str, str]

FILTERS = {
    "urlencode": lambda value: quote(value, safe=""),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "json": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
}


def template_values(key: Key, region: str, *additional: str, port: int = 587) -> TemplateValues:
    """Without a pair before a rotation."""
    implicit = port in (465, 2465)
    values = target_data(key, region, port=port, scheme="smtps" if implicit else "smtp")
    values |= {"tls": "implicit" if implicit else "starttls", "previousUsername": "", "previousPassword": ""}
    for name in (region, *additional):
        there = target_data(key, name, port=port, scheme="smtps" if implicit else "smtp")
        values |= {f"{part}@{name}": there[part] for part in ("password", "host", "url")}
    return values


def expand(template: str, values: TemplateValues) -> str:
    def replace(found: re.Match[str]) -> str:
        name, pick = found.groups()
        return "$" if name is None else FILTERS.get(pick, str)(values[name])

    return re.sub(r"[$][$]|[$][(]([^|)]*)(?:[|](\w*))?[)]", replace, template)


def format_data(name: str, values: TemplateValues) -> dict[str, str]:
    """The keys that a target of this format has, without additional regions."""
    v = values
    pair = {"username": v["username"], "password": v["password"]}
    return {
        "Default": {key: v[key] for key in ("username", "password", "host", "port", "region", "url")},
        "BasicAuth": pair,
        "Env": {
            f"SMTP_{key.upper()}": v[key] for key in ("host", "port", "username", "password", "url", "tls")
        },
        "ServiceBinding": pair
        | {"type": "smtp", "provider": "aws-ses", "host": v["host"], "port": v["port"], "uri": v["url"]},
        "None": {},
    }[name]


# ---- sources as people make them -----------------------------------------------------------------------


def plain(key: Key, **more: str) -> SourceData:
    return {"accessKeyId": key.id, "secretAccessKey": key.secret} | more


def aws_env(key: Key, **more: str) -> SourceData:
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret} | more


def crossplane(key: Key, **more: str) -> SourceData:
    """The connection Secret of an AccessKey of provider-aws."""
    return {"username": key.id, "password": key.secret} | more


def vault(key: Key, **more: str) -> SourceData:
    """An IAM user's key of the AWS secrets engine, as the Vault Secrets Operator writes it: null is text."""
    user = {"access_key": key.id, "secret_key": key.secret, "security_token": None, "session_token": None}
    texts: SourceData = {name: "null" if value is None else value for name, value in user.items()}
    return texts | {"_raw": json.dumps(user)} | more


def id_secret(key: Key, **more: str) -> SourceData:
    return {"id": key.id, "secret": key.secret} | more


def credentials_file(key: Key, profile: str = "default", **more: str) -> str:
    """What `aws configure` keeps in ~/.aws/credentials."""
    file = ConfigParser(interpolation=None)
    file[profile] = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret} | more
    text = StringIO()
    file.write(text)
    return text.getvalue()


def create_access_key(key: Key, **more: str) -> str:
    """The answer of `aws iam create-access-key`."""
    answer = {"UserName": "ses", "AccessKeyId": key.id, "Status": "Active", "SecretAccessKey": key.secret}
    return json.dumps({"AccessKey": answer | more}, indent=4)


def get_session_token(key: Key) -> str:
    """The answer of `aws sts get-session-token`, but with a long-term id: only the token tells."""
    answer = {"AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": "IQoJb3JpZ2luX2VjEXAMPLE"}
    return json.dumps({"Credentials": answer | {"Expiration": "2026-11-23T00:00:00+00:00"}})


def access_keys_csv(*keys: Key) -> str:
    """The file that the IAM console offers, with a byte order mark and the line ends of Windows."""
    text = StringIO()
    csv.writer(text).writerows(
        [("Access key ID", "Secret access key"), *((key.id, key.secret) for key in keys)]
    )
    return "\ufeff" + text.getvalue()


def smtp_credentials_csv(key: Key, region: str) -> str:
    """The file that the SES console offers: its password is derived already."""
    return f"IAM user name,SMTP user name,SMTP password\nses-user,{key.id},{key.password(region)}\n"
