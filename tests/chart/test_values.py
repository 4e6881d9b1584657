"""Each value, and what it makes of the objects."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import yaml

from charts import (
    CHART,
    NAME,
    NAMESPACE,
    ROOT,
    Object,
    Objects,
    documented_values,
    nested,
    refusal,
    render,
    template,
)

ABSENT = object()
VERSION = (ROOT / "VERSION").read_text().strip()
POD = "spec/template/spec"
C = f"{POD}/containers/0"
D = "Deployment"
LABELS = "metadata/labels"


class Row(NamedTuple):
    value: str
    set_to: Any
    kind: str  # and name, where there are several: "Role/name"
    path: str  # into the object, with "/" between the steps
    wanted: Any  # ABSENT, or a test, or what has to be there
    given: dict[str, Any] = {}  # other values, without which this one does nothing


def has(item: Any) -> Callable[[Any], bool]:
    return lambda found: item in found


def port(number: int) -> Object:
    return {"port": number}


SES_PORTS = (25, 465, 587, 2465, 2587)

ROWS = [
    Row("replicaCount", 3, D, "spec/replicas", 3),
    Row("image.repository", "registry.example:5000/ses", D, f"{C}/image",
        f"registry.example:5000/ses:v{VERSION}"),
    Row("image.tag", "v9", D, f"{C}/image",
        "ghcr.io/ses-smtp-operator/ses-smtp-operator:v9"),
    Row("image.digest", "sha256:" + "a" * 64, D, f"{C}/image",
        "ghcr.io/ses-smtp-operator/ses-smtp-operator@sha256:" + "a" * 64, {"image.tag": "v9"}),
    Row("image.pullPolicy", "Always", D, f"{C}/imagePullPolicy", "Always"),
    Row("imagePullSecrets", [{"name": "registry"}], D, f"{POD}/imagePullSecrets",
        [{"name": "registry"}]),
    Row("nameOverride", "mail", D, f"{LABELS}/app.kubernetes.io~1name", "mail"),
    Row("fullnameOverride", "mail", D, "metadata/name", "mail"),
    Row("namespaceOverride", "mail", D, "metadata/namespace", "mail"),
    Row("commonLabels", {"team": "shop"}, D, f"{LABELS}/team", "shop"),
    Row("commonAnnotations", {"team": "shop"}, D, "metadata/annotations/team", "shop"),
    Row("crds.enabled", False, "CustomResourceDefinition", "", ABSENT),
    Row("crds.keep", False, "CustomResourceDefinition",
        "metadata/annotations/helm.sh~1resource-policy", ABSENT),
    Row("serviceAccount.create", False, "ServiceAccount", "", ABSENT, {"serviceAccount.name": "mail"}),
    Row("serviceAccount.create", False, D, f"{POD}/serviceAccountName", "default", {"rbac.create": False}),
    Row("serviceAccount.name", "mail", "ServiceAccount", "metadata/name", "mail"),
    Row("serviceAccount.name", "mail", D, f"{POD}/serviceAccountName", "mail"),
    Row("serviceAccount.name", "mail", "ClusterRoleBinding", "subjects/0/name", "mail"),
    Row("serviceAccount.annotations", {"a": "b"}, "ServiceAccount", "metadata/annotations", {"a": "b"}),
    Row("serviceAccount.automount", True, "ServiceAccount", "automountServiceAccountToken", True),
    Row("rbac.create", False, "ClusterRole", "", ABSENT),
    Row("rbac.create", False, "Role", "", ABSENT),
    Row("rbac.aggregateToView", False, f"ClusterRole/{NAME}-view",
        f"{LABELS}/rbac.authorization.k8s.io~1aggregate-to-view", ABSENT),
    Row("rbac.aggregateToEdit", False, f"ClusterRole/{NAME}-edit",
        f"{LABELS}/rbac.authorization.k8s.io~1aggregate-to-edit", ABSENT),
    Row("rbac.aggregateToAdmin", False, f"ClusterRole/{NAME}-edit",
        f"{LABELS}/rbac.authorization.k8s.io~1aggregate-to-admin", ABSENT),
    Row("rolloutRestart.enabled", True, f"ClusterRole/{NAME}", "rules/4/resources",
        ["deployments", "statefulsets", "daemonsets"]),
    Row("watchNamespaces", ["shop", "news"], D, f"{C}/args",
        has("--watch-namespaces=shop,news")),
    Row("maxConcurrentReconciles", 3, D, f"{C}/args", has("--max-concurrent-reconciles=3")),
    Row("log.level", "debug", D, f"{C}/args", has("--log-level=debug")),
    Row("log.format", "text", D, f"{C}/args", has("--log-format=text")),
    Row("leaderElection.enabled", False, D, f"{C}/args", has("--leader-elect=false")),
    Row("leaderElection.enabled", False, D, "spec/strategy", {"type": "Recreate"}),
    Row("leaderElection.enabled", False, "Role", "", ABSENT),
    Row("leaderElection.leaseDuration", "60s", D, f"{C}/args",
        has("--leader-election-lease-duration=60s")),
    Row("leaderElection.renewDeadline", "12s", D, f"{C}/args",
        has("--leader-election-renew-deadline=12s")),
    Row("leaderElection.retryPeriod", "500ms", D, f"{C}/args",
        has("--leader-election-retry-period=500ms")),
    Row("extraArgs", ["--resync-period=1h"], D, f"{C}/args", has("--resync-period=1h")),
    Row("extraEnv", [{"name": "A", "value": "b"}], D, f"{C}/env", [{"name": "A", "value": "b"}]),
    Row("extraVolumes", [{"name": "a", "emptyDir": {}}], D, f"{POD}/volumes",
        [{"name": "a", "emptyDir": {}}]),
    Row("extraVolumeMounts", [{"name": "a", "mountPath": "/a"}], D, f"{C}/volumeMounts",
        [{"name": "a", "mountPath": "/a"}]),
    Row("extraObjects",
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}}],
        "ConfigMap", "metadata/name", f"{NAME}-x"),
    Row("extraObjects",
        ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '{{ .Values.log.level }}'}"],
        "ConfigMap", "data/a", "info"),
    Row("podSecurityContext", {"runAsUser": 1234}, D, f"{POD}/securityContext",
        {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 1234}),
    Row("securityContext", {"runAsGroup": 1234}, D, f"{C}/securityContext/runAsGroup", 1234),
    Row("resources.requests", {"cpu": "1"}, D, f"{C}/resources/requests",
        {"cpu": "1", "memory": "32Mi"}),
    Row("resources.limits", {"memory": "1Gi"}, D, f"{C}/resources/limits", {"memory": "1Gi"}),
    Row("resources.claims", [{"name": "a"}], D, f"{C}/resources/claims", [{"name": "a"}]),
    Row("nodeSelector", {"pool": "small"}, D, f"{POD}/nodeSelector",
        {"kubernetes.io/os": "linux", "pool": "small"}),
    Row("tolerations", [{"operator": "Exists"}], D, f"{POD}/tolerations", [{"operator": "Exists"}]),
    *(Row(f"affinity.{kind}", {"preferredDuringSchedulingIgnoredDuringExecution": []}, D,
        f"{POD}/affinity", {kind: {"preferredDuringSchedulingIgnoredDuringExecution": []}})
      for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")),
    Row("topologySpreadConstraints",
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}], D,
        f"{POD}/topologySpreadConstraints",
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
          "labelSelector": {
              "matchLabels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}}}]),
    Row("topologySpreadConstraints",
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
          "labelSelector": {"matchLabels": {"a": "b"}}}],
        D, f"{POD}/topologySpreadConstraints/0/labelSelector", {"matchLabels": {"a": "b"}}),
    Row("priorityClassName", "high", D, f"{POD}/priorityClassName", "high"),
    Row("priorityClassName", "high", "Pod", "spec/priorityClassName", "high"),
    Row("runtimeClassName", "gvisor", D, f"{POD}/runtimeClassName", "gvisor"),
    Row("runtimeClassName", "gvisor", "Pod", "spec/runtimeClassName", "gvisor"),
    Row("affinity.nodeAffinity", {"preferredDuringSchedulingIgnoredDuringExecution": []}, "Pod",
        "spec/affinity", {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
    Row("hostUsers", False, D, f"{POD}/hostUsers", False),
    Row("podAnnotations", {"a": "b"}, D, "spec/template/metadata/annotations", {"a": "b"}),
    Row("podLabels", {"a": "b"}, D, "spec/template/metadata/labels/a", "b"),
    Row("deploymentAnnotations", {"a": "b"}, D, "metadata/annotations", {"a": "b"}),
    Row("strategy.type", "Recreate", D, "spec/strategy", {"type": "Recreate"}),
    Row("strategy.rollingUpdate.maxSurge", 0, D, "spec/strategy/rollingUpdate/maxSurge", 0),
    Row("strategy.rollingUpdate.maxUnavailable", "50%", D,
        "spec/strategy/rollingUpdate/maxUnavailable", "50%"),
    Row("revisionHistoryLimit", 1, D, "spec/revisionHistoryLimit", 1),
    Row("terminationGracePeriodSeconds", 7, D, f"{POD}/terminationGracePeriodSeconds", 7),
    *(Row(f"{probe}.{field}", 77, D, f"{C}/{probe}/{field}", 77, {f"{probe}.enabled": True})
      for probe, last in (("livenessProbe", "terminationGracePeriodSeconds"),
                          ("readinessProbe", "successThreshold"),
                          ("startupProbe", "terminationGracePeriodSeconds"))
      for field in ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", last)),
    Row("livenessProbe.enabled", False, D, f"{C}/livenessProbe", ABSENT),
    Row("readinessProbe.enabled", False, D, f"{C}/readinessProbe", ABSENT),
    Row("startupProbe.enabled", True, D, f"{C}/startupProbe/httpGet",
        {"path": "/healthz", "port": "health"}),
    Row("podDisruptionBudget.enabled", True, "PodDisruptionBudget", "spec/maxUnavailable", 1),
    Row("podDisruptionBudget.maxUnavailable", "50%", "PodDisruptionBudget", "spec/maxUnavailable", "50%",
        {"podDisruptionBudget.enabled": True}),
    Row("podDisruptionBudget.minAvailable", 0, "PodDisruptionBudget", "spec/minAvailable", 0,
        {"podDisruptionBudget.enabled": True}),
    Row("podDisruptionBudget.minAvailable", 2, "PodDisruptionBudget", "spec/maxUnavailable", ABSENT,
        {"podDisruptionBudget.enabled": True}),
    Row("networkPolicy.enabled", True, "NetworkPolicy", "spec/egress",
        [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
         {"ports": [{"port": 443}, {"port": 6443}]}]),
    Row("networkPolicy.enabled", True, "NetworkPolicy", "spec/ingress",
        [{"ports": [{"port": "metrics"}, {"port": "health"}]}]),
    Row("networkPolicy.apiServer.cidrs", ["10.0.0.1/32", "fd00::1/128"], "NetworkPolicy", "spec/egress/1/to",
        [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
        {"networkPolicy.enabled": True}),
    Row("networkPolicy.apiServer.ports", [8443], "NetworkPolicy", "spec/egress/1/ports", [{"port": 8443}],
        {"networkPolicy.enabled": True}),
    Row("verify.enabled", True, "NetworkPolicy", "spec/egress/2", {"ports": list(map(port, SES_PORTS))},
        {"networkPolicy.enabled": True}),
    Row("verify.allowedEndpoints", ["smtp.example.com:2525", "mail.example.com:587"], D, f"{C}/args",
        has("--verify-allowed-endpoints=smtp.example.com:2525,mail.example.com:587")),
    Row("verify.allowedEndpoints", ["smtp.example.com:2525", "mail.example.com:587"], "NetworkPolicy",
        "spec/egress/2/ports", list(map(port, [*SES_PORTS, 2525])),
        {"networkPolicy.enabled": True, "verify.enabled": True}),
    Row("verify.caBundleSecret.name", "smtp-ca", D, f"{C}/args", has("--smtp-ca-file=/smtp-ca/ca.crt")),
    Row("verify.caBundleSecret.name", "corporate", D, f"{C}/volumeMounts",
        [{"name": "smtp-ca", "mountPath": "/smtp-ca", "readOnly": True}]),
    Row("verify.caBundleSecret.name", "corporate", D, f"{POD}/volumes/0/secret",
        {"secretName": "corporate", "items": [{"key": "ca.crt", "path": "ca.crt"}]}),
    Row("verify.caBundleSecret.key", "bundle.pem", D, f"{POD}/volumes/0/secret/items",
        [{"key": "bundle.pem", "path": "ca.crt"}], {"verify.caBundleSecret.name": "corporate"}),
    Row("metrics.enabled", False, D, f"{C}/args", has("--metrics-bind-address=0")),
    Row("metrics.enabled", False, D, f"{C}/ports", [{"name": "health", "containerPort": 8081}]),
    Row("metrics.enabled", False, "NetworkPolicy", "spec/ingress", [{"ports": [{"port": "health"}]}],
        {"networkPolicy.enabled": True}),
    Row("metrics.port", 9090, D, f"{C}/args", has("--metrics-bind-address=:9090")),
    Row("metrics.port", 9090, D, f"{C}/ports/0", {"name": "metrics", "containerPort": 9090}),
    Row("metrics.perCredential", False, D, f"{C}/args", has("--metrics-per-credential=false")),
]  # fmt: skip

# Tested with the objects that they are for, in tests/observability.
ELSEWHERE = (
    "metrics.service.",
    "metrics.serviceMonitor.",
    "metrics.prometheusRule.",
    "metrics.grafanaDashboard.",
)


def at(item: Any, path: str) -> Any:
    for step in filter(None, path.split("/")):
        step = step.replace("~1", "/")
        try:
            item = item[int(step) if isinstance(item, list) else step]
        except (KeyError, IndexError):
            return ABSENT
    return item


def found(objects: Objects, row: Row) -> list[Any]:
    """What is there, in each object of that kind (and name)."""
    kind, _, name = row.kind.partition("/")
    return [at(item, row.path) for item in objects.of(kind) if name in ("", item["metadata"]["name"])]


def holds(row: Row, what: Any) -> bool:
    if callable(row.wanted) and row.wanted is not ABSENT:
        return what is not ABSENT and row.wanted(what)
    return what is ABSENT if row.wanted is ABSENT else what == row.wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.value}-{row.path}")
def test_value(row: Row) -> None:
    """It makes a difference, and the one that is wanted."""
    before = found(render(nested(row.given)), row)
    after = found(render(nested(row.given | {row.value: row.set_to})), row)
    if row.wanted is ABSENT:
        assert before and not all(holds(row, item) for item in before), "there is nothing to go away"
        assert all(holds(row, item) for item in after), after
    else:
        assert not any(holds(row, item) for item in before), "it is so without the value"
        assert after and any(holds(row, item) for item in after), after


def test_every_value_is_in_the_table() -> None:
    missing = set(documented_values()) - {row.value for row in ROWS}
    assert [value for value in sorted(missing) if not value.startswith(ELSEWHERE)] == []


def test_every_value_of_values_yaml_has_its_words_and_its_schema() -> None:
    """helm-docs takes the words from comments that begin with "# --"."""
    known = set(documented_values())
    lines = (CHART / "values.yaml").read_text().splitlines()
    undocumented = []
    above: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        key, colon, _ = line.strip().partition(":")
        if not colon or line.strip().startswith(("#", "-")):
            continue
        above = [(depth, name) for depth, name in above if depth < indent] + [(indent, key)]
        path = ".".join(name for _, name in above)
        comment = []
        for before in reversed(lines[:number]):
            if not before.strip().startswith("#"):
                break
            comment.append(before.strip())
        if path in known and not (comment and comment[-1].startswith("# --")):
            undocumented.append(path)
    assert set(undocumented) == {"resources.requests", "resources.limits"}, "described as a whole"


DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
# helm's way to be rid of a default that is a map, or of an entry in it.
DROPPED = (
    "podSecurityContext",
    "securityContext",
    "resources",
    "nodeSelector",
    "metrics.grafanaDashboard.labels",
)


@pytest.mark.parametrize("value", sorted(documented_values()))
def test_value_that_is_left_empty(value: str) -> None:
    """As in "watchNamespaces:" with nothing behind it. It is an empty default, or refused by name."""
    *above, last = value.split(".")
    place = DEFAULTS
    for step in above:
        place = place.get(step, {})
    everything = nested({
        "podDisruptionBudget.enabled": True, "networkPolicy.enabled": True,
        "metrics.prometheusRule.enabled": True,
        "metrics.prometheusRule.renderMode": "alwaysRender", "metrics.serviceMonitor.enabled": True,
        "metrics.serviceMonitor.renderMode": "alwaysRender", "metrics.grafanaDashboard.enabled": True,
    })  # fmt: skip
    inner = everything
    for step in above:
        inner = inner.setdefault(step, {})
    before = template(everything)
    inner[last] = None
    done = template(everything)
    if last not in place:
        assert f"at '/{value.replace('.', '/')}'" in done.stderr
    elif value.startswith(DROPPED):
        assert done.returncode == 0, done.stderr
    elif place.get(last) in (None, "", [], {}):
        assert done.returncode == 0, done.stderr
        assert done.stdout == before.stdout
    else:
        assert done.returncode != 0, "a default was lost"
        assert f"missing property '{last}'" in done.stderr
        assert f"at '{'/'.join(['', *above])}'" in done.stderr


# ---- what no single value says -------------------------------------------------------------------------

EVERYTHING = nested({row.value: row.set_to for row in ROWS if row.set_to is not False} | {
    "podDisruptionBudget.maxUnavailable": "", "strategy.type": "RollingUpdate", "hostUsers": False,
})  # fmt: skip


def meta_of(objects: Objects) -> list[Object]:
    return [item["metadata"] for item in objects.values()]


def test_objects_without_values() -> None:
    mine = {
        key
        for key in render()
        if "test" not in key[1] and not key[1].endswith("-metrics") and key[0] != "Service"
    }
    assert mine == {
        ("CustomResourceDefinition", "sessmtpcredentials.ses-smtp.dev"),
        ("ServiceAccount", f"{NAMESPACE}/{NAME}"),
        ("Deployment", f"{NAMESPACE}/{NAME}"),
        ("ClusterRole", NAME),
        ("ClusterRole", f"{NAME}-view"),
        ("ClusterRole", f"{NAME}-edit"),
        ("ClusterRoleBinding", NAME),
        ("Role", f"{NAMESPACE}/{NAME}-leader-election"),
        ("RoleBinding", f"{NAMESPACE}/{NAME}-leader-election"),
    }


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["no values", "all values"])
def test_every_object_is_labelled_and_in_its_namespace(values: Object) -> None:
    namespace = values.get("namespaceOverride", NAMESPACE)
    for meta in meta_of(render(values)):
        if meta["name"] in ("x", f"{NAME}-x"):  # extraObjects are as they are given
            continue
        labels = meta["labels"]
        assert {name for name in labels if name.startswith(("app.", "helm."))} == {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/component",
            "app.kubernetes.io/part-of",
            "app.kubernetes.io/managed-by",
            "helm.sh/chart",
        }
        assert labels.get("team") == values.get("commonLabels", {}).get("team")
        assert meta.get("annotations", {}).get("team") == values.get("commonAnnotations", {}).get("team")
        assert meta.get("namespace", namespace) in (namespace, *values.get("watchNamespaces", []))


def test_selectors_are_fixed() -> None:
    """A Deployment's selector cannot be changed, so no value but the names may change it."""
    mine = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}
    greedy = {
        "app.kubernetes.io/name": "x",
        "app.kubernetes.io/instance": "y",
        "app.kubernetes.io/version": "z",
    }
    objects = render({
        "commonLabels": greedy, "podLabels": greedy,
        "podDisruptionBudget": {"enabled": True}, "networkPolicy": {"enabled": True},
    })  # fmt: skip
    deployment = objects.the("Deployment")
    assert deployment["spec"]["selector"] == {"matchLabels": mine}
    assert objects.the("PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": mine}
    assert objects.the("NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": mine}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert mine.items() <= labels.items()
    assert labels["app.kubernetes.io/version"] == "z"


def test_no_proxy_beside_the_test_pod() -> None:
    """It would not end, and so the test would not."""
    meta = render().the("Pod")["metadata"]
    assert meta["labels"]["sidecar.istio.io/inject"] == "false"
    assert meta["annotations"]["sidecar.istio.io/inject"] == "false"
    assert meta["annotations"]["helm.sh/hook"] == "test"


def test_the_metrics_service_is_found_by_its_labels() -> None:
    greedy = {f"app.kubernetes.io/{label}": "x" for label in ("name", "instance", "component")}
    labels = render({"metrics": {"service": {"labels": greedy | {"a": "b"}}}}).the("Service")["metadata"][
        "labels"
    ]
    assert [labels[name] for name in greedy] == [NAME, NAME, "metrics"]
    assert labels["a"] == "b"


def test_the_test_pod_is_not_taken_for_an_operator() -> None:
    """A PodDisruptionBudget, a NetworkPolicy and the metrics' Service select by name and instance."""
    objects = render()
    selector = objects.the("Deployment")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= objects.the("Pod")["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "release, values, name",
    [
        ("ses-smtp-operator", {}, "ses-smtp-operator"),
        ("mail", {}, "mail-ses-smtp-operator"),
        ("my-ses-smtp-operator-2", {}, "my-ses-smtp-operator-2"),
        ("mail", {"nameOverride": "ses"}, "mail-ses"),
        ("mail", {"fullnameOverride": "ses"}, "ses"),
        ("a" * 53, {}, "a" * 53),
    ],
)
def test_names(release: str, values: Object, name: str) -> None:
    objects = render(values, release)
    assert objects.the("Deployment")["metadata"]["name"] == name
    lease_role = objects.the("Role")
    assert lease_role["rules"][1]["resourceNames"] == [name]
    assert f"--leader-election-id={name}" in args_of(objects)
    assert objects.the("ClusterRole", name)["rules"]
    short = [
        item["metadata"]["name"] for kind in ("Deployment", "Pod", "Service") for item in objects.of(kind)
    ]
    assert [name for name in short if len(name) > 63] == []


def args_of(objects: Objects) -> list[str]:
    return objects.the("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]


SOURCE_OF_FLAGS = (ROOT / "src/cli/controller_flags.cpp").read_text()
WITH_ALL_FLAGS = nested({
    "watchNamespaces": ["shop"],
    "verify.allowedEndpoints": ["smtp.example.com:587"],
    "verify.caBundleSecret.name": "smtp-ca",
})  # fmt: skip


def test_flags_that_values_own_cannot_be_given_again() -> None:
    """Also those that are not given now, and in the form that denies. All others can."""
    every = set(re.findall(r'"!?(--[a-z-]+)', SOURCE_OF_FLAGS))
    owned = {arg.partition("=")[0] for arg in args_of(render(WITH_ALL_FLAGS))[1:]}
    assert owned < every
    little = nested({"leaderElection.enabled": False, "verify.caBundleSecret.name": "smtp-ca"})
    for flag in owned:
        for arg in (flag, f"{flag}=1", f"--no-{flag.removeprefix('--')}"):
            message = refusal({"extraArgs": [arg]} | little)
            assert f"extraArgs: {arg.partition('=')[0]} is set by a value" in message, arg
    assert "--resync-period" in every - owned
    render({"extraArgs": [f"{flag}=1" for flag in every - owned]} | little)


def test_authorities_from_elsewhere() -> None:
    """A ConfigMap, say, as trust-manager makes them."""
    flag = "--smtp-ca-file=/etc/corporate/ca.pem"
    objects = render({
        "extraArgs": [flag],
        "extraVolumes": [{"name": "corporate", "configMap": {"name": "corporate"}}],
        "extraVolumeMounts": [{"name": "corporate", "mountPath": "/etc/corporate"}],
    })  # fmt: skip
    assert [arg for arg in args_of(objects) if "ca-file" in arg] == [flag]


def test_authorities_beside_other_volumes() -> None:
    spec = render(nested({
        "verify.caBundleSecret.name": "smtp-ca",
        "extraVolumes": [{"name": "a", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}],
    })).the("Deployment")["spec"]["template"]["spec"]  # fmt: skip
    assert [volume["name"] for volume in spec["volumes"]] == ["smtp-ca", "a"]
    assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == ["smtp-ca", "a"]


def test_no_port_twice_in_the_policy() -> None:
    """Two that say the same are a mistake to whoever reads it."""
    values = {"networkPolicy.enabled": True, "verify.enabled": True,
              "verify.allowedEndpoints": ["a.example:25", "b.example:2525", "c.example:2525"]}  # fmt: skip
    ports = render(nested(values)).the("NetworkPolicy")["spec"]["egress"][2]["ports"]
    assert ports == list(map(port, [*SES_PORTS, 2525]))


def test_the_program_knows_the_flags() -> None:
    source = SOURCE_OF_FLAGS
    given = [arg.partition("=")[0] for arg in args_of(render(WITH_ALL_FLAGS))[1:]]
    assert len(given) == len(set(given)) == 14
    assert [flag for flag in given if f'"{flag}"' not in source and f'"{flag},' not in source] == []


# ---- rights --------------------------------------------------------------------------------------------

NEEDED = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "patch"]},
    {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials"], "verbs": ["list", "watch"]},
    {"apiGroups": ["ses-smtp.dev"], "resources": ["sessmtpcredentials/status"], "verbs": ["patch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
RESTARTS = [
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "statefulsets", "daemonsets"],
        "verbs": ["get", "patch"],
    }
]
LEASE = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [NAME],
        "verbs": ["get", "update", "watch"],
    },
]


def test_rights_in_all_namespaces() -> None:
    objects = render()
    assert objects.the("ClusterRole", NAME)["rules"] == NEEDED
    assert objects.the("Role")["rules"] == LEASE
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    for kind, role_kind, role in (
        ("ClusterRoleBinding", "ClusterRole", NAME),
        ("RoleBinding", "Role", f"{NAME}-leader-election"),
    ):
        binding = objects.the(kind)
        assert binding["subjects"] == [subject]
        assert binding["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": role_kind,
            "name": role,
        }


def test_rights_in_some_namespaces() -> None:
    """Its own among them."""
    objects = render({"watchNamespaces": ["shop", NAMESPACE]})
    assert objects.of("ClusterRoleBinding") == []
    assert "secrets" not in yaml.dump(objects.of("ClusterRole"))
    for namespace in ("shop", NAMESPACE):
        assert objects.the("Role", NAME, namespace)["rules"] == NEEDED
        binding = objects.the("RoleBinding", NAME, namespace)
        assert binding["roleRef"]["name"] == NAME
        assert binding["subjects"][0]["namespace"] == NAMESPACE
    assert objects.the("Role", f"{NAME}-leader-election", NAMESPACE)["rules"] == LEASE
    assert len(objects.of("Role")) == len(objects.of("RoleBinding")) == 3


def test_rights_to_restart() -> None:
    """Only when asked for, and only where Secrets are served."""
    everywhere = render({"rolloutRestart": {"enabled": True}})
    assert everywhere.the("ClusterRole", NAME)["rules"] == NEEDED + RESTARTS
    some = render({"rolloutRestart": {"enabled": True}, "watchNamespaces": ["shop"]})
    assert some.the("Role", NAME, "shop")["rules"] == NEEDED + RESTARTS
    assert "deployments" not in yaml.dump(some.of("ClusterRole"))


def test_rights_of_users() -> None:
    objects = render()
    view, edit = objects.the("ClusterRole", f"{NAME}-view"), objects.the("ClusterRole", f"{NAME}-edit")
    assert view["rules"] == [
        {
            "apiGroups": ["ses-smtp.dev"],
            "resources": ["sessmtpcredentials"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    assert edit["rules"] == [
        {
            "apiGroups": ["ses-smtp.dev"],
            "resources": ["sessmtpcredentials"],
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
        }
    ]
    none = {"aggregateToView": False, "aggregateToEdit": False, "aggregateToAdmin": False}
    assert [role["metadata"]["name"] for role in render({"rbac": none}).of("ClusterRole")] == [NAME]


def test_the_token_is_mounted_in_our_pods_alone() -> None:
    objects = render()
    assert objects.the("ServiceAccount")["automountServiceAccountToken"] is False
    assert objects.the("Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert objects.the("Pod")["spec"]["automountServiceAccountToken"] is False


def test_the_user_is_left_to_image_and_platform() -> None:
    """OpenShift picks one of the namespace's range, and refuses any other."""
    objects = render()
    for spec in (objects.the("Deployment")["spec"]["template"]["spec"], objects.the("Pod")["spec"]):
        assert "runAs" not in yaml.dump(spec).replace("runAsNonRoot: true", "")
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


# ---- the test that the chart brings --------------------------------------------------------------------


def test_helm_test_compares_with_a_password_from_elsewhere() -> None:
    from oracle import EXAMPLE, smtp_password

    objects = render()
    source, credential, pod = objects.the("Secret"), objects.the("SesSmtpCredential"), objects.the("Pod")
    data, region = source["stringData"], credential["spec"]["region"]
    assert (data["accessKeyId"], data["secretAccessKey"]) == (EXAMPLE.id, EXAMPLE.secret)
    assert data["known"] == smtp_password(EXAMPLE.secret, region)
    assert credential["spec"]["source"]["secretName"] == source["metadata"]["name"]
    assert pod["spec"]["containers"][0]["args"] == [
        "derive",
        f"--region={region}",
        "--secret-access-key-file=/source/secretAccessKey",
        "--compare-file=/target/password",
        "--compare-file=/source/known",
    ]
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in pod["spec"]["volumes"]}
    assert volumes == {"source": source["metadata"]["name"], "target": credential["metadata"]["name"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {"/source": "source", "/target": "target"}


def test_helm_test_takes_place_where_the_operator_serves() -> None:
    objects = render({"watchNamespaces": ["shop", "news"]})
    assert {
        objects.the(kind)["metadata"]["namespace"] for kind in ("Secret", "SesSmtpCredential", "Pod")
    } == {"shop"}


def test_helm_test_leaves_nothing() -> None:
    objects = render()
    order = []
    for kind in ("Secret", "SesSmtpCredential", "Pod"):
        annotations = objects.the(kind)["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "test"
        policies = annotations["helm.sh/hook-delete-policy"].split(",")
        assert set(policies) == {"before-hook-creation", "hook-succeeded", "hook-failed"}
        order.append(int(annotations["helm.sh/hook-weight"]))
    assert order == sorted(set(order)), "the source first, then the credential, then the pod"
