"""What the API server makes of a SesSmtpCredential, without the operator."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT, Cluster, World, wait_for

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


def preset(name: str, profile: str = "", **keys: str) -> Object:
    source: Object = {"secretName": "iam", "preset": name}
    return {"source": source | ({"profile": profile} if profile else {}) | ({"keys": keys} if keys else {})}


def data(**templates: str) -> Object:
    return target(data=templates)


def merge(**fields: Any) -> Object:
    return target(conflictPolicy="Merge", deletionPolicy="Retain", **fields)


def keep(duration: str, **target: Any) -> Object:
    return spec(keepPreviousFor=duration, **({"target": target} if target else {}))


def restarts(*workloads: Object) -> Object:
    return spec(rolloutRestartTargets=list(workloads))


def workload(kind: str = "Deployment", name: str = "web") -> Object:
    return {"kind": kind, "name": name}


def create(world: World, spec: Object, name: str = "mail", **query: Any) -> Object:
    return world.api.create(
        "SesSmtpCredential", {"metadata": {"name": name}, "spec": spec}, world.namespace, **query
    )


# ---- schema and rules ----------------------------------------------------------------------------------

DOCUMENTS = ("AwsCredentialsFile", "AwsJson", "AccessKeysCsv")
KEY_BY_KEY = ("Plain", "AwsEnv", "Crossplane", "Vault", "IdSecret")
FORMATS = ("Default", "BasicAuth", "Env", "ServiceBinding", "None")

TEMPLATES = {
    "text": "no reference at all",
    "nothing": "",
    "several lines": "a\n$(username)\nb\n",
    **{
        f"$({name})": f"$({name})"
        for name in (
            *("username", "password", "host", "port", "region", "tls", "url"),
            *("previousUsername", "previousPassword"),
        )
    },
    **{f"$({name}@region)": f"$({name}@eu-central-1)" for name in ("password", "host", "url")},
    **{f"|{name}": f"$(username|{name})" for name in ("urlencode", "base64", "json")},
    "region and filter": "$(password@eu-central-1|urlencode)",
    "one after the other": "$(username)$(password)",
    "$$": "$$(username) costs 5$$",
    "a $ before other things": "$5 ${HOME} $HOME a$",
    "a $ at the end after a reference": "$(username)$",
    "other alphabets": "ключ $(username) 鍵",
    "4096 characters": "$(username)" + "a" * (4096 - len("$(username)")),
    "the most references": "$(port)" * 585,
}

BAD_TEMPLATES = {
    "no such name": "$(secret)",
    "upper case": "$(USERNAME)",
    "no name": "$()",
    "a space": "$( username )",
    "no end": "$(username",
    "no end, at the end": "text $(",
    "a second $": "$$$(nothing)",
    "in the middle": "$(username) $(usrname) $(password)",
    "no such filter": "$(password|upper)",
    "two filters": "$(password|base64|urlencode)",
    "an empty filter": "$(password|)",
    "an empty region": "$(password@)",
    "a region in upper case": "$(password@EU-WEST-1)",
    "the filter before the region": "$(password|base64@eu-west-1)",
    **{
        f"{name} of a region": f"$({name}@eu-west-1)"
        for name in ("username", "port", "region", "tls", "previousUsername", "previousPassword")
    },
    "nested": "$($(username))",
    "a line's end": "$(username\n)",
    "after 4000 characters": "a" * 4000 + "$(x)",
}

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
    **{f"preset {name}": preset(name) for name in ("Auto", *KEY_BY_KEY, *DOCUMENTS)},
    **{f"preset {name} with one key's name": preset(name, accessKeyId="id") for name in KEY_BY_KEY},
    **{f"preset {name} with the secret's name": preset(name, secretAccessKey="s") for name in KEY_BY_KEY},
    "preset Auto with both names": preset("Auto", accessKeyId="a", secretAccessKey="b"),
    "preset Plain with every name": preset(
        "Plain", accessKeyId="a", secretAccessKey="b", sessionToken="c", region="d"
    ),
    **{f"preset {name} with the document's name": preset(name, file="x.y") for name in DOCUMENTS},
    "a profile": {"source": {"secretName": "iam", "profile": "ses"}},
    "a profile with preset Auto": preset("Auto", "ses"),
    "a profile with a space": preset("AwsCredentialsFile", "mail relay@work"),
    "a profile of one character": preset("AwsCredentialsFile", "x"),
    "a usual region": spec(region="eu-west-1"),
    "a GovCloud region": spec(region="us-gov-west-1"),
    "a region of a partition with a long name": spec(region="eusc-de-east-1"),
    "a region nobody has heard of": spec(region="mars-north-12"),
    "additional regions": spec(region="eu-west-1", additionalRegions=["eu-central-1", "us-east-1"]),
    "additional regions without a region": spec(additionalRegions=["eu-west-1"]),
    "no additional region": spec(region="eu-west-1", additionalRegions=[]),
    "32 additional regions": spec(additionalRegions=[f"eu-west-{n}" for n in range(32)]),
    "an additional region that has no endpoint": spec(additionalRegions=["cn-north-1"]),
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
    "labels": target(labels={"team": "shop", "example.com/tier": "Back_End-1.0", "empty": ""}),
    "32 labels": target(labels={f"example.com/label-{n}": "x" * 63 for n in range(32)}),
    "annotations": target(annotations={"reloader.stakater.com/match": "true", "text": "$(not a template)\n"}),
    "32 long annotations": target(annotations={f"{LONG_NAME}/{n:063}": "x" * 4096 for n in range(32)}),
    **{
        f"label key {key}": target(labels={key: ""})
        for key in ("kubernetes.io", "mykubernetes.io/a", "kubernetes.io.example/a", "a/kubernetes.io")
    },
    **{f"format {name}": target(format=name) for name in FORMATS if name != "None"},
    "format None with data": target(format="None", data={"a": "b"}),
    "every format's keys replaced": data(username="a", password="b", SMTP_HOST="c", uri="d"),
    **{f"template: {what}": data(key=text) for what, text in TEMPLATES.items()},
    **{
        f"data key {key[:9]}": target(data={key: ""})
        for key in ("a", ".msmtprc", "application.yaml", "A_b-c.0", "-", "_", "...a"[2:], LONG_NAME)
    },
    "32 long templates": target(data={f"{n:0253}": "$(url)" + "a" * 4090 for n in range(32)}),
    **{f"conflictPolicy {name}": target(conflictPolicy=name) for name in ("Fail", "Adopt")},
    "conflictPolicy Merge": merge(),
    "conflictPolicy Merge with keys of one's own": merge(name="app", format="None", data={"a": "$(url)"}),
    **{f"deletionPolicy {name}": target(deletionPolicy=name) for name in ("Delete", "Retain")},
    **{
        f"type basic-auth with format {name}": target(type="kubernetes.io/basic-auth", format=name)
        for name in ("Default", "BasicAuth", "ServiceBinding")
    },
    **{
        f"type basic-auth with format {name} and a {key} in data": target(
            type="kubernetes.io/basic-auth", format=name, data={key: "x"}
        )
        for name in ("Env", "None")
        for key in ("username", "password")
    },
    **{
        f"the previous login for {text}": keep(text)
        for text in ("1m", "60s", "1h30m", "24h", "2160h", "99999s")
    },
    **{
        f"the previous login with format {name}": keep("24h", format=name)
        for name in ("Default", "BasicAuth", "ServiceBinding")
    },
    "the previous login, and other data": keep("24h", data={"my.password": "x", "passwords": "y", "a": "b"}),
    "the previous login in a template": keep("24h", data={"pair": "$(previousUsername):$(previousPassword)"}),
    "a previous login in a template that is always empty": data(x="$(previousPassword)"),
    "a restart of each kind": restarts(
        *(workload(kind) for kind in ("Deployment", "StatefulSet", "DaemonSet"))
    ),
    "16 restarts": restarts(*(workload(name=f"web-{n}") for n in range(16))),
    "suspended": spec(suspend=True),
    "not suspended": spec(suspend=False),
    "everything": {
        "source": {
            "secretName": "iam",
            "preset": "Auto",
            "profile": "ses",
            "keys": {"accessKeyId": "a", "secretAccessKey": "b", "region": "d"},
        },
        "region": "eu-west-1",
        "additionalRegions": ["eu-central-1"],
        "endpoint": {"host": "relay.example", "port": 465, "tls": "Implicit", "fips": False},
        "target": {
            "name": "login",
            "type": "kubernetes.io/basic-auth",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "format": "BasicAuth",
            "data": {"e": "$(url)"},
            "conflictPolicy": "Adopt",
            "deletionPolicy": "Retain",
        },
        "keepPreviousFor": "24h",
        "suspend": False,
    },
}

REFUSED = {
    "a restart of a Job": (
        restarts(workload("Job")),
        "spec.rolloutRestartTargets[0].kind",
        'supported values: "Deployment", "StatefulSet", "DaemonSet"',
    ),
    "a restart of nothing": (
        restarts({"kind": "Deployment"}),
        "spec.rolloutRestartTargets[0].name",
        "Required",
    ),
    "a restart without a name": (
        restarts(workload(name="")),
        "spec.rolloutRestartTargets[0].name",
        "should be at least 1",
    ),
    "a restart in another namespace": (
        restarts(workload(name="other/web")),
        "spec.rolloutRestartTargets[0].name",
        "must be the name of a workload",
    ),
    "a restart by a name in upper case": (
        restarts(workload(name="Web")),
        "spec.rolloutRestartTargets[0].name",
        "must be the name of a workload",
    ),
    "a restart by a name that is too long": (
        restarts(workload(name=LONG_NAME + "a")),
        "spec.rolloutRestartTargets[0].name",
        "253",
    ),
    "a restart of the same twice": (
        restarts(workload(), workload()),
        "spec.rolloutRestartTargets[1]",
        "Duplicate value",
    ),
    "17 restarts": (
        restarts(*(workload(name=f"web-{n}") for n in range(17))),
        "spec.rolloutRestartTargets",
        "16",
    ),
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
    "preset Auto with one name": (preset("Auto", accessKeyId="id"), "spec.source.keys", "or neither of them"),
    "a preset nobody has heard of": (
        preset("Aws"),
        "spec.source.preset",
        'supported values: "Auto", "Plain"',
    ),
    **{
        f"a profile with preset {name}": (
            preset(name, "ses"),
            "spec.source.profile",
            "only an AWS credentials file has profiles",
        )
        for name in (*KEY_BY_KEY, "AwsJson", "AccessKeysCsv")
    },
    **{
        f"the profile {text!r}": (preset("Auto", text), "spec.source.profile", "should match")
        for text in ("[ses]", " ses", "ses ", "a\nb", " ")
    },
    "an empty profile": (
        {"source": {"secretName": "iam", "profile": ""}},
        "spec.source.profile",
        "should be at least 1",
    ),
    "a document's name without a preset": (
        keys(file="aws"),
        "spec.source.keys.file",
        "preset must say what kind of document it is",
    ),
    **{
        f"a document's name with preset {name}": (
            preset(name, file="aws"),
            "spec.source.keys.file",
            "preset must say what kind of document it is",
        )
        for name in ("Auto", *KEY_BY_KEY)
    },
    "a document's name that climbs up": (
        preset("AwsJson", file="../aws"),
        "spec.source.keys.file",
        "should match",
    ),
    **{
        f"{key} with preset {name}": (
            preset(name, **{key: "x"}),
            "spec.source.keys",
            "everything is read from one document",
        )
        for name in DOCUMENTS
        for key in ("accessKeyId", "secretAccessKey", "sessionToken", "region")
    },
    "an availability zone": (spec(region="eu-west-1a"), "spec.region", "such as eu-west-1"),
    "a region in upper case": (spec(region="EU-WEST-1"), "spec.region", "such as eu-west-1"),
    "a region's name": (spec(region="Ireland"), "spec.region", "such as eu-west-1"),
    "an empty region": (spec(region=""), "spec.region", "such as eu-west-1"),
    "a region that is too long": (spec(region="eu-" + "a" * 28 + "-1"), "spec.region", "32"),
    "the region once more": (
        spec(region="eu-west-1", additionalRegions=["us-east-1", "eu-west-1"]),
        "spec.additionalRegions",
        "holds spec.region",
    ),
    "an additional region twice": (
        spec(additionalRegions=["eu-west-1", "eu-west-1"]),
        "spec.additionalRegions[1]",
        "Duplicate value",
    ),
    "an additional zone": (
        spec(additionalRegions=["eu-west-1a"]),
        "spec.additionalRegions[0]",
        "availability",
    ),
    "33 additional regions": (
        spec(additionalRegions=[f"eu-west-{n}" for n in range(33)]),
        "spec.additionalRegions",
        "32",
    ),
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
    **{
        f"{where} {key}": (
            target(**{where: {"fine": "", key: "x"}}),
            f"spec.target.{where}",
            f'"{key}" belongs to Kubernetes or to this operator',
        )
        for where in ("labels", "annotations")
        for key in (
            *("kubernetes.io/a", "app.kubernetes.io/name", "k8s.io/a", "a.b.k8s.io/c"),
            *("ses-smtp.dev/owner-uid", "x.ses-smtp.dev/a"),
        )
    },
    **{
        f"{where} {key[:20]!r}": (
            target(**{where: {key: "x"}}),
            f"spec.target.{where}",
            f'"{key}" is no key of a',
        )
        for where in ("labels", "annotations")
        for key in ("a b", "a/b/c", "-a", "/a", "Example.com/a", "a" * 64, "")
    },
    "33 labels": (target(labels={f"l{n}": "" for n in range(33)}), "spec.target.labels", "32"),
    "a label's value that is too long": (target(labels={"a": "x" * 64}), "spec.target.labels.a", "63"),
    "a label's value with a space": (target(labels={"a": "b c"}), "spec.target.labels[a]", "no spaces"),
    "33 annotations": (target(annotations={f"a{n}": "" for n in range(33)}), "spec.target.annotations", "32"),
    "an annotation that is too long": (
        target(annotations={"a": "x" * 4097}),
        "spec.target.annotations.a",
        "4096",
    ),
    "a format nobody has heard of": (
        target(format="Json"),
        "spec.target.format",
        'supported values: "Default", "BasicAuth", "Env", "ServiceBinding", "None"',
    ),
    "format None without data": (
        target(format="None"),
        "spec.target.data",
        "format None writes nothing but what data lists",
    ),
    "data without a key": (data(), "spec.target.data", "should have at least 1"),
    "33 keys of data": (data(**{f"k{n}": "" for n in range(33)}), "spec.target.data", "32"),
    "a template that is too long": (data(key="a" * 4097), "spec.target.data.key", "4096"),
    **{
        f"template: {what}": (
            target(data={"fine": "$(url)", "sasl_passwd": text}),
            "spec.target.data[sasl_passwd]",
            "has a bad $(...) reference",
        )
        for what, text in BAD_TEMPLATES.items()
    },
    **{
        f"data key {key[:9]!r}": (
            target(data={"fine": "", key: "x"}),
            "spec.target.data",
            f'"{key}" is no key that a Secret can have',
        )
        for key in ("", ".", "..", "..a", "a/b", "a b", "ключ", LONG_NAME + "a")
    },
    "a data key with a line's end": (  # for which the API server does not show the key
        target(data={"a\n": "x"}),
        "spec.target.data",
        "a key must be a name that a Secret can have",
    ),
    "a conflict policy nobody has heard of": (
        target(conflictPolicy="Overwrite"),
        "spec.target.conflictPolicy",
        'supported values: "Fail", "Adopt", "Merge"',
    ),
    "a deletion policy nobody has heard of": (
        target(deletionPolicy="Orphan"),
        "spec.target.deletionPolicy",
        'supported values: "Delete", "Retain"',
    ),
    "Merge without a deletion policy": (
        target(conflictPolicy="Merge"),
        "spec.target.deletionPolicy",
        "set deletionPolicy to Retain",
    ),
    "Merge with deletion": (
        target(conflictPolicy="Merge", deletionPolicy="Delete"),
        "spec.target.deletionPolicy",
        "set deletionPolicy to Retain",
    ),
    "Merge with a type": (merge(type="Opaque"), "spec.target.type", "keeps its own type; remove type"),
    "Merge with labels": (merge(labels={"a": "b"}), "spec.target.labels", "keeps its own labels"),
    "Merge with annotations": (
        merge(annotations={"a": "b"}),
        "spec.target.annotations",
        "keeps its own annotations",
    ),
    **{
        f"type basic-auth with format {name}": (
            target(type="kubernetes.io/basic-auth", format=name, data={"a": "$(password)"}),
            "spec.target.type",
            "Kubernetes refuses a Secret of type kubernetes.io/basic-auth that has no key",
        )
        for name in ("Env", "None")
    },
    **{
        f"the previous login for {text!r}": (keep(text), "spec.keepPreviousFor", "from 1m to 2160h (90 days)")
        for text in ("59s", "0s", "2160h1s", "2161h", "99999h", "99999h99999h99999h")
    },
    **{
        f"the previous login for {text!r}": (keep(text), "spec.keepPreviousFor", "must be a duration from 1m")
        for text in ("", "5", "90d", "1.5h", "-1h", "+1h", "1h 5m", "100000s", "1H", "5000ms", "1h1m1s1s")
    },
    **{
        f"the previous login with format {name}": (
            keep("24h", format=name, data={"a": "b"}),
            "spec.keepPreviousFor",
            "have no keys for the previous login",
        )
        for name in ("Env", "None")
    },
    **{
        f"the previous login, with {key} from a template": (
            keep("24h", data={key: "$(password)"}),
            "spec.keepPreviousFor",
            "target.data replaces a user name or a password",
        )
        for key in (
            *("username", "password", "previous-username", "previous-password"),
            *("password.eu-central-1", "previous-password.eu-central-1"),
        )
    },
    "suspended in words": (spec(suspend="yes"), "spec.suspend", "must be of type boolean"),
}


@pytest.fixture
def dry(cluster: Cluster) -> World:
    """For dry runs, which leave nothing. The end of hundreds of namespaces would hold up that of others."""
    return World(cluster, "default")


@pytest.mark.parametrize("what", ACCEPTED)
def test_accepted(dry: World, what: str) -> None:
    created = create(dry, ACCEPTED[what], dryRun="All", fieldValidation="Strict")
    assert created["spec"] == ACCEPTED[what], "no default is written into the spec"


@pytest.mark.parametrize("what", REFUSED)
def test_refused(dry: World, what: str) -> None:
    refused, field, message = REFUSED[what]
    with pytest.raises(ApiException) as error:
        create(dry, refused, dryRun="All")
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
        (target(), target(deletionPolicy="Retain", conflictPolicy="Adopt", format="Env")),
        (target(name="a", deletionPolicy="Retain"), target(name="a")),
        (target(), merge()),
        (merge(), target()),
        (target(type="Opaque"), merge()),
        (keep("24h"), spec()),
        (spec(suspend=True), spec()),
    ],
)
def test_changes_that_are_allowed(world: World, before: Object, after: Object) -> None:
    created = create(world, before)
    changed = world.api.replace("SesSmtpCredential", created | {"spec": after}, world.namespace)
    assert changed["spec"] == after


def test_rules_have_a_message_a_field_and_a_reason() -> None:
    schemas = [schema for _, schema in walk(VERSION["schema"]["openAPIV3Schema"])]
    values = [schema["additionalProperties"] for schema in schemas if "additionalProperties" in schema]
    rules = [rule for schema in schemas + values for rule in schema.get(RULES, [])]
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
        },
        {
            "type": "Verified",
            "status": "True",
            "reason": "Authenticated",
            "message": "email-smtp.eu-west-1.amazonaws.com:587 accepted the login",
            "lastTransitionTime": "2026-11-22T08:00:00Z",
            "observedGeneration": 1,
        },
    ],
    "accessKeyId": "AKIA************MPLE",
    "region": "eu-west-1",
    "endpoint": {"host": "email-smtp.eu-west-1.amazonaws.com", "port": 587, "tls": "StartTls"},
    "keySince": "2026-11-22T08:00:00Z",
    "lastRotationTime": "2026-11-22T08:00:00Z",
    "source": {"uid": "0b5b", "resourceVersion": "812"},
    "target": {"name": "mail", "uid": "0b5c", "resourceVersion": "813", "merged": True},
    "renderVersion": 1,
    "additionalRegions": ["eu-central-1"],
    "previous": {"accessKeyId": "AKIA************OLD1", "expiresAt": "2026-11-23T08:00:00Z"},
    "rollouts": [
        {
            "kind": "Deployment",
            "name": "web",
            "digest": "0123456789abcdef",
            "requestedAt": "2026-11-22T08:00:00Z",
            "restartedAt": "2026-11-22T08:00:00Z",
            "reason": "RestartPending",
        }
    ],
    "binding": {"name": "mail"},
    "lastHandledReconcileAt": "2026-11-22T08:00:00Z",
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
    with pytest.raises(ApiException) as error:
        write_status(world, {"previous": {"accessKeyId": key_id, "expiresAt": "2026-11-23T08:00:00Z"}})
    assert error.value.status == 422


def test_a_condition_stands_once_for_each_type(world: World) -> None:
    create(world, spec())
    ready, _ = FULL_STATUS["conditions"]
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
    columns = ["NAME", "READY", "REASON", "REGION", "SECRET", "KEY", "ROTATED", "AGE", "HOST"]
    columns += ["VERIFIED", "SUSPENDED", "MESSAGE"]
    assert list(row) == columns
    assert row["HOST"] == "email-smtp.eu-west-1.amazonaws.com"
    assert row["VERIFIED"] == "True"
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
    """Every field. Neither the items of a list nor the values of a map have a name of their own."""
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
    samples = yaml.safe_load_all((ROOT / "deploy/samples/all-options.yaml").read_text())
    shown = [sample["spec"] for sample in samples if sample["kind"] == "SesSmtpCredential"]
    fields = {where for where, _ in FIELDS if where.startswith(".spec")}
    maps = {where for where, schema in FIELDS if "additionalProperties" in schema}

    def names(value: Any, where: str) -> set[str]:
        if isinstance(value, list):
            return {where}.union(*[names(item, where) for item in value])
        below = value if isinstance(value, dict) and where not in maps else {}
        return {where}.union(*[names(inner, f"{where}.{name}") for name, inner in below.items()])

    assert set[str]().union(*[names(spec, ".spec") for spec in shown]) == fields
