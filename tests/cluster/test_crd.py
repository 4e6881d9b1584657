"""What the API server makes of a SesSmtpCredential, without the operator."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT, World, wait_for

from kube import ApiException, Object, path, status_of

pytestmark = pytest.mark.usefixtures("no_controller")

CRD = yaml.safe_load((ROOT / "crds/ses-smtp.dev_sessmtpcredentials.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SAMPLES = sorted((ROOT / "deploy/samples").glob("*.yaml"))
LONG_NAME = "a" * 253
LONG_HOST = ".".join(["a" * 63] * 3 + ["b" * 61])


def spec(**fields: Any) -> Object:
    return {"source": {"secretName": "iam"}} | fields


def keys(**names: str) -> Object:
    return {"source": {"secretName": "iam", "keys": names}}


def endpoint(**fields: Any) -> Object:
    return spec(endpoint=fields)


def target(**fields: Any) -> Object:
    return spec(target=fields)


def create(world: World, spec: Object, name: str = "mail", **query: Any) -> Object:
    return world.api.create(
        "SesSmtpCredential", {"metadata": {"name": name}, "spec": spec}, world.namespace, **query
    )


# ---- schema and rules ----------------------------------------------------------------------------------

ACCEPTED = {
    "the smallest": spec(),
    "a source named by a subdomain": {"source": {"secretName": "team-a.iam.0"}},
    "a source name of 253 characters": {"source": {"secretName": LONG_NAME}},
    "no key named": keys(),
    "id and secret named": keys(accessKeyId="id", secretAccessKey="key"),
    "every key named": keys(accessKeyId="a", secretAccessKey="b", sessionToken="c", region="d"),
    "only the region's key named": keys(region="AWS_REGION"),
    "only the session token's key named": keys(sessionToken="token"),
    "key names of every allowed character": keys(accessKeyId="A.b_c-0", secretAccessKey=".hidden"),
    "a key name of one character": keys(region="r"),
    "a key name of 253 characters": keys(region=LONG_NAME),
    "a usual region": spec(region="eu-west-1"),
    "a GovCloud region": spec(region="us-gov-west-1"),
    "a region of a partition with a long name": spec(region="eusc-de-east-1"),
    "a region nobody has heard of": spec(region="mars-north-12"),
    "an endpoint without a field": endpoint(),
    "a VPC endpoint": endpoint(host="vpce-0a1b2c3d-x.email-smtp.eu-west-1.vpce.amazonaws.com"),
    "a host of one label": endpoint(host="relay"),
    "a host of 253 characters": endpoint(host=LONG_HOST),
    "a host whose labels begin with digits": endpoint(host="10.0.0.1.example.com"),
    "a host with a label that is a number": endpoint(host="1.2.3.example"),
    "a host that ends in something like hexadecimal": endpoint(host="relay.0xfg"),
    **{f"port {port}": endpoint(port=port) for port in (25, 465, 587, 2465, 2587)},
    **{f"port {port} with StartTls": endpoint(port=port, tls="StartTls") for port in (25, 587, 2587)},
    **{f"port {port} with Implicit": endpoint(port=port, tls="Implicit") for port in (465, 2465)},
    "StartTls without a port": endpoint(tls="StartTls"),
    "any port with a host": endpoint(host="relay.example", port=1),
    "the last port with a host": endpoint(host="relay.example", port=65535),
    "any port with Implicit": endpoint(host="relay.example", port=8465, tls="Implicit"),
    "any port with StartTls": endpoint(host="relay.example", port=8025, tls="StartTls"),
    "fips": endpoint(fips=True),
    "fips with a port": endpoint(fips=True, port=465),
    "fips off with a host": endpoint(fips=False, host="relay.example"),
    "a target without a field": target(),
    "a target name": target(name="smtp.login"),
    "a target name of 253 characters": target(name=LONG_NAME),
    "a target name that is the object's own": target(name="mail"),
    **{
        f"type {kind}": target(type=kind)
        for kind in ("Opaque", "kubernetes.io/basic-auth", "servicebinding.io/smtp")
    },
    "everything": {
        "source": {"secretName": "iam", "keys": {"accessKeyId": "a", "secretAccessKey": "b", "region": "d"}},
        "region": "eu-west-1",
        "endpoint": {"host": "relay.example", "port": 465, "tls": "Implicit", "fips": False},
        "target": {"name": "login", "type": "kubernetes.io/basic-auth"},
    },
}

REFUSED = {
    # what: (spec, field, part of the message)
    "no spec": (None, "spec", "Required value"),
    "no source": ({"region": "eu-west-1"}, "spec.source", "Required value"),
    "no source name": ({"source": {}}, "spec.source.secretName", "Required value"),
    "an empty source name": (
        {"source": {"secretName": ""}},
        "spec.source.secretName",
        "should be at least 1",
    ),
    "a source name in upper case": (
        {"source": {"secretName": "IAM"}},
        "spec.source.secretName",
        "should match",
    ),
    "a source in another namespace": (
        {"source": {"secretName": "a/b"}},
        "spec.source.secretName",
        "should match",
    ),
    "a source name that ends in a dash": (
        {"source": {"secretName": "a-"}},
        "spec.source.secretName",
        "should match",
    ),
    "a source name that is too long": (
        {"source": {"secretName": LONG_NAME + "a"}},
        "spec.source.secretName",
        "253",
    ),
    "the target as its own source": (
        {"source": {"secretName": "mail"}},
        "spec.source.secretName",
        "the source Secret cannot be the target as well",
    ),
    "the named target as its own source": (
        target(name="iam"),
        "spec.source.secretName",
        "the source Secret cannot be the target as well",
    ),
    "only the id's key named": (keys(accessKeyId="id"), "spec.source.keys", "must be given together"),
    "only the secret's key named": (
        keys(secretAccessKey="s", region="r"),
        "spec.source.keys",
        "must be given together",
    ),
    "an empty key name": (keys(region=""), "spec.source.keys.region", "should be at least 1"),
    "a key name of dots": (keys(region=".."), "spec.source.keys.region", "should match"),
    "the key name '.'": (keys(region="."), "spec.source.keys.region", "should match"),
    "a key name that climbs up": (keys(sessionToken="..a"), "spec.source.keys.sessionToken", "should match"),
    "a key name with a slash": (keys(sessionToken="a/b"), "spec.source.keys.sessionToken", "should match"),
    "a key name that is too long": (keys(region=LONG_NAME + "a"), "spec.source.keys.region", "253"),
    "a key name with a space": (
        keys(accessKeyId="a b", secretAccessKey="c"),
        "spec.source.keys.accessKeyId",
        "match",
    ),
    "a key name with a line's end": (
        keys(accessKeyId="a", secretAccessKey="c\n"),
        "spec.source.keys.secretAccessKey",
        "match",
    ),
    "an availability zone": (spec(region="eu-west-1a"), "spec.region", "should match"),
    "a region in upper case": (spec(region="EU-WEST-1"), "spec.region", "should match"),
    "a region's name": (spec(region="Ireland"), "spec.region", "should match"),
    "an empty region": (spec(region=""), "spec.region", "should match"),
    "a region that is too long": (spec(region="eu-" + "a" * 28 + "-1"), "spec.region", "32"),
    "an IPv4 address": (
        endpoint(host="10.0.0.1"),
        "spec.endpoint.host",
        "must be a DNS name, not an IP address",
    ),
    "a short IPv4 address": (
        endpoint(host="127.1"),
        "spec.endpoint.host",
        "must be a DNS name, not an IP address",
    ),
    "an IPv4 address as a number": (endpoint(host="2130706433"), "spec.endpoint.host", "must be a DNS name"),
    "an IPv4 address in hexadecimal": (endpoint(host="0x7f.0x1"), "spec.endpoint.host", "must be a DNS name"),
    "an IPv6 address": (endpoint(host="::1"), "spec.endpoint.host", "should match"),
    "a bracketed IPv6 address": (endpoint(host="[fd00::1]"), "spec.endpoint.host", "should match"),
    "a host with a port": (endpoint(host="relay.example:25"), "spec.endpoint.host", "should match"),
    "a URL as the host": (endpoint(host="smtp://relay.example"), "spec.endpoint.host", "should match"),
    "a host in upper case": (endpoint(host="Relay.example"), "spec.endpoint.host", "should match"),
    "a host with a final dot": (endpoint(host="relay.example."), "spec.endpoint.host", "should match"),
    "a host with a label that is too long": (
        endpoint(host="a" * 64 + ".example"),
        "spec.endpoint.host",
        "should match",
    ),
    "a host that is too long": (endpoint(host=LONG_HOST + "b"), "spec.endpoint.host", "253"),
    "an empty host": (endpoint(host=""), "spec.endpoint.host", "should be at least 1"),
    "a port that SES does not have": (
        endpoint(port=2525),
        "spec.endpoint.port",
        "SES listens on 25, 465, 587, 2465 and 2587",
    ),
    "a port that SES does not have, with fips": (
        endpoint(port=26, fips=True),
        "spec.endpoint.port",
        "SES listens on",
    ),
    "port 0": (
        endpoint(host="relay.example", port=0),
        "spec.endpoint.port",
        "should be greater than or equal to 1",
    ),
    "port 65536": (
        endpoint(host="relay.example", port=65536),
        "spec.endpoint.port",
        "should be less than or equal to 65535",
    ),
    "a port as text": (endpoint(port="587"), "spec.endpoint.port", "must be of type integer"),
    **{
        f"port {port} with StartTls": (
            endpoint(port=port, tls="StartTls"),
            "spec.endpoint.tls",
            "speak implicit TLS",
        )
        for port in (465, 2465)
    },
    **{
        f"port {port} with Implicit": (
            endpoint(port=port, tls="Implicit"),
            "spec.endpoint.tls",
            "speak STARTTLS",
        )
        for port in (25, 587, 2587)
    },
    "Implicit without a port": (endpoint(tls="Implicit"), "spec.endpoint.tls", "set port to 465"),
    "Implicit without a port, with a host": (
        endpoint(host="a.example", tls="Implicit"),
        "spec.endpoint.tls",
        "port to 465",
    ),
    "no TLS": (endpoint(tls="None"), "spec.endpoint.tls", 'supported values: "StartTls", "Implicit"'),
    "fips with a host": (
        endpoint(fips=True, host="relay.example"),
        "spec.endpoint.fips",
        "cannot be combined with host",
    ),
    "a target name in upper case": (target(name="Mail"), "spec.target.name", "should match"),
    "an empty target name": (target(name=""), "spec.target.name", "should be at least 1"),
    "a target name that is too long": (target(name=LONG_NAME + "a"), "spec.target.name", "253"),
    "a type that is a privilege": (
        target(type="kubernetes.io/service-account-token"),
        "spec.target.type",
        'supported values: "Opaque", "kubernetes.io/basic-auth", "servicebinding.io/smtp"',
    ),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_accepted(world: World, what: str) -> None:
    created = create(world, ACCEPTED[what], dryRun="All", fieldValidation="Strict")
    assert created["spec"] == ACCEPTED[what], "no default is written into the spec"


@pytest.mark.parametrize("what", REFUSED)
def test_refused(world: World, what: str) -> None:
    refused, field, message = REFUSED[what]
    with pytest.raises(ApiException) as error:
        create(world, refused, dryRun="All")
    assert error.value.status == 422
    causes = status_of(error.value)["details"]["causes"]
    assert any(message in cause["message"] for cause in causes if cause["field"] == field), causes


IMMUTABLE = {
    # what: (before, after, field)
    "another name": (target(name="a"), target(name="b"), "spec.target.name"),
    "a name given": (spec(), target(name="b"), "spec.target.name"),
    "the name removed": (target(name="a"), target(), "spec.target.name"),
    "the target removed": (target(name="a"), spec(), "spec.target.name"),
    "another type": (target(type="Opaque"), target(type="kubernetes.io/basic-auth"), "spec.target.type"),
    "a type given": (spec(), target(type="servicebinding.io/smtp"), "spec.target.type"),
    "the type removed": (target(type="servicebinding.io/smtp"), target(), "spec.target.type"),
    "the target of a type removed": (target(type="kubernetes.io/basic-auth"), spec(), "spec.target.type"),
}


@pytest.mark.parametrize("what", IMMUTABLE)
def test_immutable(world: World, what: str) -> None:
    """19 | `target.name` or `target.type` changed, or removed | – | refused by the API server"""
    before, after, field = IMMUTABLE[what]
    created = create(world, before)
    with pytest.raises(ApiException) as error:
        world.api.replace("SesSmtpCredential", created | {"spec": after}, world.namespace)
    assert error.value.status == 422
    [cause] = status_of(error.value)["details"]["causes"]
    assert cause["field"] == field
    assert "cannot be changed" in cause["message"]


@pytest.mark.parametrize(
    "before, after",
    [
        (spec(), target(name="mail")),
        (target(name="mail"), spec()),
        (target(type="Opaque"), spec()),
        (spec(), target(type="Opaque", name="mail")),
        (target(name="a"), target(name="a") | {"region": "eu-west-1"}),
        (target(name="a"), {"source": {"secretName": "other"}, "target": {"name": "a"}}),
        (endpoint(port=465), spec()),
    ],
)
def test_changes_that_are_allowed(world: World, before: Object, after: Object) -> None:
    created = create(world, before)
    changed = world.api.replace("SesSmtpCredential", created | {"spec": after}, world.namespace)
    assert changed["spec"] == after


def test_rules_have_a_message_a_field_and_a_reason() -> None:
    rules = [
        rule for _, schema in walk(VERSION["schema"]["openAPIV3Schema"]) for rule in schema.get(RULES, [])
    ]
    assert rules
    for rule in rules:
        assert rule["message"] and rule["reason"], rule


RULES = "x-kubernetes-validations"


# ---- status --------------------------------------------------------------------------------------------


def test_status_says_that_nobody_has_looked_yet(world: World) -> None:
    assert create(world, spec())["status"] == {"observedGeneration": -1}


def test_status_is_a_subresource(world: World) -> None:
    created = create(world, spec())
    changed = world.api.replace(
        "SesSmtpCredential", created | {"status": {"observedGeneration": 7}}, world.namespace
    )
    assert changed["status"] == {"observedGeneration": -1}
    changed = write_status(world, {"observedGeneration": 7})
    assert changed["status"]["observedGeneration"] == 7
    assert changed["metadata"]["generation"] == created["metadata"]["generation"]


FULL_STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Synced",
            "message": "Secret mail is in sync with Secret iam",
            "lastTransitionTime": "2026-11-22T08:00:00Z",
            "observedGeneration": 1,
        }
    ],
    "accessKeyId": "AKIA************MPLE",
    "region": "eu-west-1",
    "endpoint": {"host": "email-smtp.eu-west-1.amazonaws.com", "port": 587, "tls": "StartTls"},
    "keySince": "2026-11-22T08:00:00Z",
    "lastRotationTime": "2026-11-22T08:00:00Z",
    "source": {"uid": "0b5b", "resourceVersion": "812"},
    "target": {"name": "mail", "uid": "0b5c", "resourceVersion": "813"},
    "renderVersion": 1,
}


def write_status(world: World, status: Object) -> Object:
    return world.api.patch("SesSmtpCredential", "mail", {"status": status}, world.namespace, sub="status")


def test_status_keeps_every_field(world: World) -> None:
    create(world, spec())
    assert write_status(world, FULL_STATUS)["status"] == FULL_STATUS


@pytest.mark.parametrize("key_id", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG"])
def test_status_has_no_room_for_a_key_in_clear_text(world: World, key_id: str) -> None:
    create(world, spec())
    with pytest.raises(ApiException) as error:
        write_status(world, {"accessKeyId": key_id})
    assert error.value.status == 422


def test_a_condition_stands_once_for_each_type(world: World) -> None:
    create(world, spec())
    [ready] = FULL_STATUS["conditions"]
    with pytest.raises(ApiException) as error:
        write_status(world, {"conditions": [ready, ready]})
    assert error.value.status == 422
    assert "Duplicate value" in error.value.body


# ---- clients -------------------------------------------------------------------------------------------


def manifest(world: World, **more: Any) -> str:
    metadata = {"name": "mail", "namespace": world.namespace}
    return json.dumps(
        {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential", "metadata": metadata} | more
    )


@pytest.mark.parametrize("how", [["apply"], ["apply", "--server-side"], ["create"]])
def test_kubectl_refuses_an_unknown_field(world: World, how: list[str]) -> None:
    """37 | CR with an unknown field | – | kubectl and server-side apply refuse it; with another client it is
    dropped, with a warning"""
    done = world.cluster.kubectl(
        *how, "-f", "-", text=manifest(world, spec=spec(regoin="eu-west-1")), check=False
    )
    assert done.returncode != 0
    assert "regoin" in done.stderr


def test_server_side_apply_refuses_an_unknown_field(world: World) -> None:
    with pytest.raises(ApiException) as error:
        body = {"metadata": {"name": "mail"}, "spec": spec(regoin="eu-west-1")}
        world.api.apply("SesSmtpCredential", body, world.namespace)
    assert "regoin" in error.value.body


def test_an_unknown_field_is_dropped_with_a_warning(world: World) -> None:
    where = path("SesSmtpCredential", world.namespace)
    created, headers = world.api.request(
        "POST", where, json.loads(manifest(world, spec=spec(regoin="eu-west-1")))
    )
    assert created["spec"] == spec()
    assert headers["Warning"] == r'299 - "unknown field \"spec.regoin\""'


def table(text: str) -> list[dict[str, str]]:
    """What kubectl printed, by its column titles. Cells may hold single spaces."""
    head, *rows = text.splitlines()
    starts = [at for at, char in enumerate(head) if char != " " and (at == 0 or head[at - 1] == " ")]
    spans = list(zip(starts, starts[1:] + [None]))
    return [{head[a:b].strip(): row[a:b].strip() for a, b in spans} for row in rows]


@pytest.mark.parametrize("name", ["sesc", "smtp", "sessmtpcredential", "sessmtpcredentials.ses-smtp.dev"])
def test_kubectl_get_shows_columns(world: World, name: str) -> None:
    create(world, spec(target={"name": "login"}))
    write_status(world, FULL_STATUS | {"target": {"name": "login", "uid": "0", "resourceVersion": "1"}})
    [row] = table(world.cluster.kubectl("get", name, "-n", world.namespace).stdout)
    rotated, age = row.pop("ROTATED"), row.pop("AGE")
    assert rotated.endswith(tuple("smhdy")) and age.endswith("s")
    assert row == {
        "NAME": "mail",
        "READY": "True",
        "REASON": "Synced",
        "REGION": "eu-west-1",
        "SECRET": "login",
        "KEY": "AKIA************MPLE",
    }


def test_kubectl_get_wide_shows_host_and_message(world: World) -> None:
    create(world, spec())
    write_status(world, FULL_STATUS)
    [row] = table(world.cluster.kubectl("get", "sesc", "-o", "wide", "-n", world.namespace).stdout)
    columns = ["NAME", "READY", "REASON", "REGION", "SECRET", "KEY", "ROTATED", "AGE", "HOST", "MESSAGE"]
    assert list(row) == columns
    assert row["HOST"] == "email-smtp.eu-west-1.amazonaws.com"
    assert row["MESSAGE"] == "Secret mail is in sync with Secret iam"


def test_kubectl_get_before_the_operator_has_looked(world: World) -> None:
    create(world, spec())
    [row] = table(world.cluster.kubectl("get", "sesc", "-n", world.namespace).stdout)
    assert [row[column] for column in ("READY", "REASON", "REGION", "SECRET", "KEY", "ROTATED")] == [""] * 6


def test_credentials_can_be_selected_by_their_source(world: World) -> None:
    for name, source in (("a", "one"), ("b", "two"), ("c", "one")):
        create(world, {"source": {"secretName": source}}, name)
    selector = "--field-selector=spec.source.secretName=one"
    found = world.cluster.kubectl("get", "sesc", "-n", world.namespace, selector, "-o", "name").stdout.split()
    assert found == ["sessmtpcredential.ses-smtp.dev/a", "sessmtpcredential.ses-smtp.dev/c"]


# ---- kubectl explain and samples -----------------------------------------------------------------------


def walk(schema: Object, where: str = "") -> list[tuple[str, Object]]:
    found = [(where, schema)]
    for name, inner in schema.get("properties", {}).items():
        found += walk(inner, f"{where}.{name}")
    return found + (walk(schema["items"], where)[1:] if "items" in schema else [])


FIELDS = [
    (where, schema)
    for where, schema in walk(VERSION["schema"]["openAPIV3Schema"])
    if where not in (".apiVersion", ".kind", ".metadata")  # the API server has its own words for these
]


def test_every_field_is_described() -> None:
    assert [where for where, schema in FIELDS if not schema.get("description")] == []


def test_kubectl_explains_every_field(world: World) -> None:
    whole = world.cluster.kubectl("explain", "sesc", "--recursive").stdout
    for where, _ in FIELDS:
        assert where.rpartition(".")[2] in whole
    for where in {where.rpartition(".")[0] for where, _ in FIELDS}:
        shown = " ".join(world.cluster.kubectl("explain", f"sesc{where}").stdout.split())
        for inner, schema in FIELDS:
            if inner.rpartition(".")[0] == where and inner:
                assert " ".join(schema["description"].split()) in shown, inner


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_sample_is_valid(world: World, sample: Path) -> None:
    wait_for("a service account", lambda: world.api.get("ServiceAccount", "default", world.namespace))
    world.cluster.kubectl(
        "create", "-n", world.namespace, "--dry-run=server", "--validate=strict", "-f", sample
    )


def test_samples_show_every_option() -> None:
    [shown] = [
        item["spec"]
        for item in yaml.safe_load_all((ROOT / "deploy/samples/all-options.yaml").read_text())
        if item["kind"] == "SesSmtpCredential"
    ]

    def names(value: Any, where: str) -> set[str]:
        inner = (
            [names(below, f"{where}.{name}") for name, below in value.items()]
            if isinstance(value, dict)
            else []
        )
        return {where}.union(*inner)

    assert names(shown, ".spec") == {where for where, _ in FIELDS if where.startswith(".spec")}
