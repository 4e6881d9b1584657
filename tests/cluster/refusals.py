"""Sources that must be refused. Each would give a password that looks right and SMTP's reply 535."""

import base64
from collections.abc import Callable
from typing import NamedTuple

from harness import REGION
from oracle import Key, SourceData, aws_env, plain, smtp_password, smtp_password_v2


class Refusal(NamedTuple):
    reason: str
    data: Callable[[Key], SourceData]  # what the source holds instead of a good key
    says: tuple[str, ...] = ()  # what the message must mention


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def console_csv(key: Key) -> str:
    return f"IAM user name,SMTP user name,SMTP password\nses-user,{key.id},{key.password(REGION)}\n"


def at_home(data: SourceData) -> SourceData:
    return data | {"region": REGION}


TEMPORARY = {
    "an id that begins ASIA": Refusal(
        "TemporaryCredentials",
        lambda key: at_home(plain(Key("ASIA" + key.id[4:], key.secret))),
        ("IAM user",),
    ),
    "a session token": Refusal(
        "TemporaryCredentials",
        lambda key: at_home(plain(key, sessionToken="IQoJb3JpZ2luX2VjEXAMPLE")),
        ("sessionToken", "IAM user"),
    ),
    "a session token beside environment variables": Refusal(
        "TemporaryCredentials",
        lambda key: at_home(aws_env(key, AWS_SESSION_TOKEN="IQoJb3JpZ2luX2VjEXAMPLE")),
        ("AWS_SESSION_TOKEN",),
    ),
}

REFUSALS = {
    "an empty Secret": Refusal("SourceKeysNotFound", lambda key: {}, ("accessKeyId", "AWS_ACCESS_KEY_ID")),
    "keys of other names": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"theId": key.id, "theSecret": key.secret}),
        ("theId", "theSecret", "accessKeyId", "secretAccessKey"),
    ),
    "no secret access key": Refusal(
        "SourceKeysNotFound", lambda key: at_home({"accessKeyId": key.id}), ("secretAccessKey",)
    ),
    "half of each of two sets": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"accessKeyId": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}),
        ("secretAccessKey", "AWS_ACCESS_KEY_ID"),
    ),
    "two complete sets": Refusal(
        "SourceKeysAmbiguous",
        lambda key: at_home(plain(key) | aws_env(Key.new())),
        ("accessKeyId", "AWS_ACCESS_KEY_ID", "source.keys"),
    ),
    "an empty id": Refusal(
        "SourceValueEmpty", lambda key: at_home(plain(Key("", key.secret))), ("accessKeyId",)
    ),
    "an empty secret": Refusal(
        "SourceValueEmpty", lambda key: at_home(plain(Key(key.id, ""))), ("secretAccessKey",)
    ),
    "a secret of white space": Refusal(
        "SourceValueEmpty", lambda key: at_home(plain(Key(key.id, " \t\r\n"))), ("secretAccessKey",)
    ),
    "the SMTP password instead of the key": Refusal(
        "AlreadyDerivedPassword", lambda key: at_home(plain(Key(key.id, smtp_password(key.secret, REGION))))
    ),
    "a retired SMTP password instead of the key": Refusal(
        "AlreadyDerivedPassword", lambda key: at_home(plain(Key(key.id, smtp_password_v2(key.secret))))
    ),
    "the SES console's file instead of the key": Refusal(
        "AlreadyDerivedPassword", lambda key: at_home(plain(Key(key.id, console_csv(key))))
    ),
    "id and secret swapped": Refusal(
        "SourceKeysSwapped", lambda key: at_home(plain(Key(key.secret, key.id)))
    ),
    "a user's id": Refusal(
        "NotAnAccessKeyId", lambda key: at_home(plain(Key("AIDA" + key.id[4:], key.secret))), ("accessKeyId",)
    ),
    "a role's id": Refusal(
        "NotAnAccessKeyId", lambda key: at_home(plain(Key("AROA" + key.id[4:], key.secret)))
    ),
    "an ARN": Refusal(
        "NotAnAccessKeyId", lambda key: at_home(plain(Key("arn:aws:iam::123456789012:user/ses", key.secret)))
    ),
    "an id that is too short": Refusal(
        "NotAnAccessKeyId", lambda key: at_home(plain(Key("AKIA0123", key.secret)))
    ),
    "an id with a space inside": Refusal(
        "NotAnAccessKeyId", lambda key: at_home(plain(Key(f"{key.id[:9]} {key.id[9:]}", key.secret)))
    ),
    "a secret with a space inside": Refusal(
        "SourceValueMalformed",
        lambda key: at_home(plain(Key(key.id, f"{key.secret[:9]} {key.secret[9:]}"))),
        ("secretAccessKey",),
    ),
    "a secret with a control byte inside": Refusal(
        "SourceValueMalformed", lambda key: at_home(plain(Key(key.id, f"{key.secret[:9]}\0{key.secret[9:]}")))
    ),
    "a secret that is not ASCII": Refusal(
        "SourceValueMalformed", lambda key: at_home(plain(Key(key.id, key.secret[:-1] + "é")))
    ),
    "a secret that is no text": Refusal(
        "SourceValueMalformed",
        lambda key: at_home(plain(key)) | {"secretAccessKey": b"\xff\xfe" + key.secret.encode("utf-16-le")},
    ),
    "a secret encoded twice": Refusal(
        "SourceValueDoubleEncoded", lambda key: at_home(plain(Key(key.id, encoded(key.secret)))), ("base64",)
    ),
    "a secret with its newline encoded twice": Refusal(
        "SourceValueDoubleEncoded",
        lambda key: at_home(plain(Key(key.id, encoded(key.secret + "\n")))),
        ("base64",),
    ),
    "no region": Refusal("RegionMissing", plain, ("spec.region",)),
    "an availability zone as region": Refusal(
        "RegionInvalid", lambda key: plain(key, region="eu-west-1a"), ("region",)
    ),
    "a region in upper case": Refusal(
        "RegionInvalid", lambda key: plain(key, region="EU-WEST-1"), ("region",)
    ),
    "something else as region": Refusal(
        "RegionInvalid", lambda key: plain(key, region=key.secret), ("region",)
    ),
    "a region without a known endpoint": Refusal(
        "EndpointUnknown", lambda key: plain(key, region="cn-north-1"), ("cn-north-1", "spec.endpoint.host")
    ),
}
