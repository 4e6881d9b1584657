"""Sources that must be refused. Each would give a password that looks right and SMTP's reply 535."""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from harness import REGION
from oracle import (
    Key,
    SourceData,
    access_keys_csv,
    aws_env,
    create_access_key,
    credentials_file,
    crossplane,
    get_session_token,
    id_secret,
    plain,
    smtp_credentials_csv,
    smtp_password,
    smtp_password_v2,
    vault,
)

Shape = Callable[[Key], SourceData]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def at_home(data: SourceData) -> SourceData:
    return data | {"region": REGION}


def good_file(key: Key) -> SourceData:
    return at_home({"credentials": credentials_file(key)})


def good_json(key: Key) -> SourceData:
    return at_home({"key.json": create_access_key(key)})


def good_csv(key: Key) -> SourceData:
    return at_home({"accessKeys.csv": access_keys_csv(key)})


class Refusal(NamedTuple):
    reason: str
    data: Shape  # what the source holds instead of a good key
    says: tuple[str, ...] = ()  # what the message must mention
    source: dict[str, Any] = {}  # spec.source, next to the name
    good: Shape = lambda key: at_home(plain(key))  # what would do


FILE = {"preset": "AwsCredentialsFile"}
JSON = {"preset": "AwsJson"}
CSV = {"preset": "AccessKeysCsv"}


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
    "a session token of Vault": Refusal(
        "TemporaryCredentials",
        lambda key: at_home(vault(key, security_token="IQoJb3JpZ2luX2VjEXAMPLE")),
        ("security_token",),
        {"preset": "Vault"},
        lambda key: at_home(vault(key)),
    ),
    "a session token in a credentials file": Refusal(
        "TemporaryCredentials",
        lambda key: {"credentials": credentials_file(key, aws_session_token="IQoJb3JpZ2luX2VjEXAMPLE")},
        ("aws_session_token", "default", "credentials"),
        FILE,
        good_file,
    ),
    "an answer of STS": Refusal(
        "TemporaryCredentials",
        lambda key: {"key.json": get_session_token(key)},
        ("Credentials.SessionToken", "key.json"),
        JSON,
        good_json,
    ),
    "a temporary id in the console's file": Refusal(
        "TemporaryCredentials",
        lambda key: {"accessKeys.csv": access_keys_csv(Key("ASIA" + key.id[4:], key.secret))},
        ("Access key ID", "accessKeys.csv"),
        CSV,
        good_csv,
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
    "two complete sets of different tools": Refusal(
        "SourceKeysAmbiguous",
        lambda key: at_home(crossplane(key) | {"key.json": create_access_key(Key.new())}),
        ("username", "Crossplane", "key.json", "AwsJson", "source.preset"),
    ),
    "a database login": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"username": "postgres", "password": key.secret}),
        ("username", "database", "not an IAM key"),
    ),
    "a set without AKIA that nobody has vouched for": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home(plain(Key("vendor_" + key.id[4:], key.secret))),
        ("accessKeyId", "AKIA", "spec.source.preset: Plain"),
    ),
    "a named key that is absent": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"username": key.id, "password": key.secret}),
        ("key-of-the-user", "Crossplane", "found password, region, username"),
        {"preset": "Crossplane", "keys": {"secretAccessKey": "key-of-the-user"}},
        lambda key: at_home({"username": key.id, "key-of-the-user": key.secret}),
    ),
    "the keys of another preset": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home(plain(key)),
        ("no key", "access_key", "secret_key", "Vault", "found accessKeyId"),
        {"preset": "Vault"},
        lambda key: at_home(vault(key)),
    ),
    "no credentials file": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home(plain(key)),
        ("credentials, cloud or creds", "spec.source.keys.file"),
        FILE,
        good_file,
    ),
    "no document under its name": Refusal(
        "SourceKeysNotFound",
        good_json,
        ("the-key", "keys.file"),
        JSON | {"keys": {"file": "the-key"}},
        lambda key: at_home({"the-key": create_access_key(key)}),
    ),
    "another profile": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"credentials": credentials_file(key) + credentials_file(key, "mail")}),
        ("shop", "default", "mail", "credentials", "spec.source.profile"),
        FILE | {"profile": "shop"},
        lambda key: at_home({"credentials": credentials_file(key, "shop")}),
    ),
    "half a profile": Refusal(
        "SourceKeysNotFound",
        lambda key: at_home({"credentials": f"[default]\naws_access_key_id = {key.id}\n"}),
        ("aws_secret_access_key", "default", "credentials"),
        FILE,
        good_file,
    ),
    "a profile with two ids": Refusal(
        "SourceKeysAmbiguous",
        lambda key: {"credentials": credentials_file(key) + f"aws_access_key_id = {Key.new().id}\n"},
        ("aws_access_key_id", "twice"),
        FILE,
        good_file,
    ),
    "JSON of something else": Refusal(
        "SourceKeysNotFound",
        lambda key: {"key.json": json.dumps({"user": key.id, "password": key.secret})},
        ("key.json", "AccessKeyId"),
        JSON,
        good_json,
    ),
    "JSON cut off": Refusal(
        "SourceValueMalformed",
        lambda key: {"key.json": create_access_key(key)[:-3]},
        ("key.json", "not valid JSON"),
        JSON,
        good_json,
    ),
    "two documents": Refusal(
        "SourceKeysAmbiguous",
        lambda key: {"a.json": create_access_key(key), "b.json": create_access_key(Key.new())},
        ("a.json", "b.json", "keys.file"),
        JSON,
        good_json,
    ),
    "the file of two keys": Refusal(
        "SourceKeysAmbiguous",
        lambda key: {"accessKeys.csv": access_keys_csv(key, Key.new())},
        ("accessKeys.csv", "2 rows"),
        CSV,
        good_csv,
    ),
    "a file without a header": Refusal(
        "SourceKeysNotFound",
        lambda key: {"accessKeys.csv": f"{key.id},{key.secret}\n"},
        ("accessKeys.csv", "Access key ID", "Secret access key"),
        CSV,
        good_csv,
    ),
    "an empty document": Refusal(
        "SourceValueEmpty", lambda key: {"accessKeys.csv": ""}, ("accessKeys.csv",), CSV, good_csv
    ),
    "the console's file of SMTP credentials": Refusal(
        "AlreadyDerivedPassword",
        lambda key: {"credentials.csv": smtp_credentials_csv(key, REGION)},
        ("credentials.csv", "SMTP credentials", "access key"),
    ),
    "an SMTP login": Refusal(
        "AlreadyDerivedPassword",
        lambda key: at_home(crossplane(Key(key.id, smtp_password(key.secret, REGION)))),
        ("password",),
        {"preset": "Crossplane"},
        lambda key: at_home(crossplane(key)),
    ),
    "columns swapped": Refusal(
        "SourceKeysSwapped",
        lambda key: {"accessKeys.csv": access_keys_csv(Key(key.secret, key.id))},
        ("Secret access key", "accessKeys.csv"),
        CSV,
        good_csv,
    ),
    "a user's id in JSON": Refusal(
        "NotAnAccessKeyId",
        lambda key: {"key.json": create_access_key(Key("AIDA" + key.id[4:], key.secret))},
        ("AccessKey.AccessKeyId", "key.json"),
        JSON,
        good_json,
    ),
    "a secret encoded twice in a credentials file": Refusal(
        "SourceValueDoubleEncoded",
        lambda key: {"credentials": credentials_file(Key(key.id, encoded(key.secret)))},
        ("aws_secret_access_key", "base64"),
        FILE,
        good_file,
    ),
    "an id encoded twice": Refusal(
        "SourceValueDoubleEncoded",
        lambda key: at_home(id_secret(Key(encoded(key.id), key.secret))),
        ('"id"', "base64"),
        {"preset": "IdSecret"},
        lambda key: at_home(id_secret(key)),
    ),
    "a secret in quotes": Refusal(
        "SourceValueMalformed",
        lambda key: at_home(aws_env(Key(key.id, f'"{key.secret}"'))),
        ("AWS_SECRET_ACCESS_KEY", "quotes"),
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
        "AlreadyDerivedPassword", lambda key: at_home(plain(Key(key.id, smtp_credentials_csv(key, REGION))))
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
