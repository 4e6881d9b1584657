"""Install, upgrade, roll back, uninstall on a real API server. No node: no pod and no hook runs."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import CRD, GARBAGE_SECONDS, Cluster, unique, wait_for

from charts import CHART, NAME, NAMESPACE, ROOT, Object, helm, nested, render

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SAMPLE = yaml.safe_load((ROOT / "deploy/samples/minimal.yaml").read_text())


class Site:
    """A cluster, and helm for it."""

    def __init__(self, cluster: Cluster, folder: Path):
        self.cluster, self.api, self.kubectl = cluster, cluster.api, cluster.kubectl
        self.folder = folder

    def try_helm(
        self, *args: Any, values: Object | None = None, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        if values is not None:
            file = self.folder / "values.yaml"
            file.write_text(json.dumps(nested(values)))
            args = *args, "--values", file
        return helm(*args, kubeconfig=kubeconfig or self.cluster.kubeconfig)

    def helm(self, *args: Any, values: Object | None = None) -> str:
        done = self.try_helm(*args, values=values)
        assert done.returncode == 0, f"helm {' '.join(map(str, args))}: {done.stderr}"
        assert "WARNING" not in done.stderr, done.stderr
        return done.stdout

    def install(self, namespace: str, release: str = NAME, chart: Path = CHART, **values: Any) -> str:
        dotted = {name.replace("__", "."): value for name, value in values.items()}
        return self.helm("install", release, chart, "--namespace", namespace, values=dotted)

    def refused(self, namespace: str, release: str = NAME, user: str = "", **values: Any) -> str:
        dotted = {name.replace("__", "."): value for name, value in values.items()}
        kubeconfig = self.cluster.kubeconfig_of(user, self.folder) if user else None
        done = self.try_helm(
            "install", release, CHART, "--namespace", namespace, values=dotted, kubeconfig=kubeconfig
        )
        assert done.returncode != 0, "it was installed"
        assert helm("list", "--all", "-q", "-n", namespace, kubeconfig=self.cluster.kubeconfig).stdout == ""
        return done.stderr

    def namespace(self, **labels: str) -> str:
        name = unique("chart")
        self.api.create("Namespace", {"metadata": {"name": name, "labels": labels}})
        wait_for("its service account", lambda: self.api.get("ServiceAccount", "default", name))
        return name

    def crd(self) -> Object | None:
        return self.api.get("CustomResourceDefinition", CRD)

    def wait_served(self) -> None:
        wait_for("the CRD is served", lambda: self.kubectl("get", "sesc", check=False).returncode == 0)

    def credential_with_target(self, namespace: str, name: str = "shop-mail") -> tuple[Object, Object]:
        """And the target as the operator makes it."""
        self.wait_served()
        credential = self.api.create("SesSmtpCredential", SAMPLE | {"metadata": {"name": name}}, namespace)
        meta = credential["metadata"]
        owner = {
            "apiVersion": SAMPLE["apiVersion"],
            "kind": SAMPLE["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        target = {"metadata": {"name": meta["name"], "ownerReferences": [owner]}}
        return credential, self.api.create("Secret", target, namespace)

    def may(self, user: str, verb: str, what: str, namespace: str = "default", sub: str = "") -> bool:
        """`what` is a resource, a resource/name, or a path."""
        subresource = [f"--subresource={sub}"] if sub else []
        args = "auth", "can-i", verb, what, "--as", user, "--namespace", namespace, *subresource
        return self.kubectl(*args, check=False).stdout.strip() == "yes"


@pytest.fixture
def site(whole_cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """Without CRD and without releases, before and after."""
    site = Site(whole_cluster, tmp_path)

    def clear() -> None:
        for release in json.loads(site.helm("list", "--all", "--all-namespaces", "--output", "json")):
            site.helm("uninstall", release["name"], "--namespace", release["namespace"])
        whole_cluster.remove_crd()

    clear()
    yield site
    clear()


def uid(item: Object | None) -> str:
    assert item is not None
    return item["metadata"]["uid"]


# ---- no values -----------------------------------------------------------------------------------------


def test_pods_are_admitted_where_only_restricted_ones_are(site: Site) -> None:
    namespace = site.namespace(**RESTRICTED)
    site.install(namespace)
    [deployment] = json.loads(site.kubectl("get", "deployments", "-n", namespace, "-o", "json").stdout)[
        "items"
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": deployment["spec"]["template"]["metadata"] | {"name": "pod"},
        "spec": deployment["spec"]["template"]["spec"],
    }

    def admit(pod: Object) -> subprocess.CompletedProcess[str]:
        pod["metadata"].pop("namespace", None)
        return site.kubectl(
            *("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-"),
            text=json.dumps(pod),
            check=False,
        )

    for one in (pod, render().the("Pod")):
        done = admit(one)
        assert (done.returncode, done.stderr) == (0, "")
        mounted = [volume for volume in json.loads(done.stdout)["spec"]["volumes"] if "projected" in volume]
        assert len(mounted) == (1 if one is pod else 0), "the token, for the operator alone"
    lax = json.loads(json.dumps(pod))
    del lax["spec"]["containers"][0]["securityContext"]["capabilities"]
    assert "violates PodSecurity" in admit(lax).stderr


def test_the_objects_of_helm_test_are_taken(site: Site) -> None:
    namespace = site.namespace(**RESTRICTED)
    site.install(namespace)
    site.wait_served()
    hooks = site.helm("get", "hooks", NAME, "--namespace", namespace)
    done = site.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-", text=hooks
    )
    assert set(done.stdout.split()) == {
        f"secret/{NAME}-test-iam",
        f"sessmtpcredential.ses-smtp.dev/{NAME}-test",
        f"pod/{NAME}-test",
    }


def test_notes_end_with_a_sample_to_apply(site: Site) -> None:
    namespace = site.namespace()
    notes = site.install(namespace).partition("\nNOTES:\n")[2]
    text, end = notes.rstrip().rsplit("<<EOF\n", 1)[1].rsplit("\n", 1)
    assert (yaml.safe_load(text), end) == (SAMPLE, "EOF")
    site.wait_served()
    site.kubectl("create", "-n", namespace, "--validate=strict", "-f", "-", text=text)
    assert "WARNING" not in notes


def test_notes_warn(site: Site) -> None:
    notes = site.install(
        site.namespace(),
        crds__enabled=False,
        rbac__create=False,
        networkPolicy__enabled=True,
        verify__allowedEndpoints=["smtp.example.com:587"],
        metrics__serviceMonitor__enabled=True,
    )
    warnings = re.findall(r"WARNING: (.*)", notes)
    assert len(warnings) == 4
    for warning, about in zip(
        warnings,
        ("the CRD is not in this cluster", "rbac.create", "verify.enabled is false", "no ServiceMonitor"),
    ):
        assert about in warning


# ---- a life --------------------------------------------------------------------------------------------


def test_upgrade_rollback_uninstall_and_back(site: Site) -> None:
    """Credentials and targets live on."""
    namespace = site.namespace()
    site.install(namespace)
    credential, target = site.credential_with_target(namespace)
    crd = site.crd()

    def assert_alive() -> None:
        assert uid(site.crd()) == uid(crd)
        assert uid(site.api.get("SesSmtpCredential", "shop-mail", namespace)) == uid(credential)
        assert uid(site.api.get("Secret", "shop-mail", namespace)) == uid(target)

    def replicas() -> int:
        return json.loads(site.kubectl("get", "deploy", NAME, "-n", namespace, "-o", "json").stdout)["spec"][
            "replicas"
        ]

    site.helm("upgrade", NAME, CHART, "--namespace", namespace, values={"replicaCount": 2})
    assert replicas() == 2
    assert_alive()
    site.helm("rollback", NAME, "1", "--namespace", namespace)
    assert replicas() == 1
    assert_alive()
    said = site.helm("uninstall", NAME, "--namespace", namespace)
    assert CRD in said, "it says that the CRD stays"
    assert_alive()

    def left() -> list[str]:
        """Slices of a Service go a moment after it."""
        labelled = f"-l=app.kubernetes.io/instance={NAME}"
        kinds = site.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").stdout.split()
        found = site.kubectl(
            "get", ",".join(kinds), "--all-namespaces", labelled, "-o", "name"
        ).stdout.split()
        roles = site.kubectl("get", "clusterroles,clusterrolebindings", labelled, "-o", "name").stdout.split()
        return found + roles

    wait_for("all else is gone", lambda: not left(), 60, lambda: str(left()))
    site.install(namespace)
    assert_alive()


def test_taking_the_crd_out_of_the_release_leaves_it(site: Site) -> None:
    namespace = site.namespace()
    site.install(namespace)
    crd = site.crd()
    site.helm("upgrade", NAME, CHART, "--namespace", namespace, values={"crds.enabled": False})
    assert uid(site.crd()) == uid(crd)
    assert "deletionTimestamp" not in site.crd()["metadata"]


def test_without_keep_all_goes(site: Site) -> None:
    """But for a garbage collector that has not heard of the CRD yet, which takes it up to half a minute."""
    namespace = site.namespace()
    site.install(namespace, crds__keep=False)

    def wait_gone(name: str) -> None:
        gone = lambda: site.api.get("Secret", name, namespace) is None
        wait_for(f"target {name} is gone", gone, GARBAGE_SECONDS + 30)

    site.credential_with_target(namespace, "first")
    site.credential_with_target(namespace)
    site.api.delete("SesSmtpCredential", "first", namespace)
    wait_gone("first")
    assert site.api.get("Secret", "shop-mail", namespace)
    site.helm("uninstall", NAME, "--namespace", namespace)
    wait_for("the CRD is gone", lambda: site.crd() is None)
    wait_gone("shop-mail")


# ---- a CRD that is there -------------------------------------------------------------------------------


def older(crd: Object) -> None:
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del root["properties"]["status"]["properties"]["renderVersion"]


def knows_render_version(crd: Object | None) -> bool:
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return "renderVersion" in root["properties"]["status"]["properties"]


def commands(message: str) -> list[list[str]]:
    """What it tells one to type."""
    found = [line.split()[1:] for line in message.splitlines() if line.startswith("  kubectl ")]
    assert found, message
    return found


@pytest.mark.parametrize("edit", [lambda crd: None, older], ids=["current", "older"])
def test_crd_that_was_applied_by_hand(site: Site, edit: Callable[[Object], None]) -> None:
    """The installation stops, and the words that it stops with help."""
    namespace = site.namespace()
    site.cluster.install_crd(edit)
    credential, target = site.credential_with_target(namespace)
    message = site.refused(namespace)
    assert CRD in message and "was not installed by helm" in message
    assert "crds.enabled=false" in message
    for command in commands(message):
        site.kubectl(*command)
    site.install(namespace)
    assert knows_render_version(site.crd())
    assert uid(site.api.get("SesSmtpCredential", "shop-mail", namespace)) == uid(credential)
    assert uid(site.api.get("Secret", "shop-mail", namespace)) == uid(target)


def test_crd_that_others_look_after(site: Site) -> None:
    site.cluster.install_crd(older)
    namespace = site.namespace()
    site.install(namespace, crds__enabled=False)
    assert not knows_render_version(site.crd())
    site.helm("uninstall", NAME, "--namespace", namespace)
    assert site.crd()


def test_upgrade_from_a_chart_with_an_older_crd(site: Site, tmp_path: Path) -> None:
    former = tmp_path / NAME
    shutil.copytree(CHART, former)
    template = former / "templates/crd.yaml"
    text = re.sub(r"(?m)^ {16}renderVersion:\n(?: {17,}.*\n)+", "", template.read_text())
    assert text != template.read_text()
    template.write_text(text)
    namespace = site.namespace()
    site.install(namespace, chart=former)
    assert not knows_render_version(site.crd())
    site.helm("upgrade", NAME, CHART, "--namespace", namespace)
    assert knows_render_version(site.crd())


# ---- twice ---------------------------------------------------------------------------------------------


def test_a_second_time(site: Site) -> None:
    first, second = site.namespace(), site.namespace()
    site.install(first)
    message = site.refused(second)
    assert f"belongs to the release {NAME} in namespace {first}" in message
    assert "crds.enabled=false" in message
    assert "One installation serves all namespaces" in message and "set watchNamespaces" in message
    assert "One installation" not in site.refused(second, watchNamespaces=[second])
    message = site.refused(second, crds__enabled=False)
    assert f"The ClusterRole {NAME}" in message
    assert f"belongs to the release {NAME} in namespace {first}" in message
    assert "fullnameOverride" in message and "watchNamespaces" in message
    site.install(second, "shop", crds__enabled=False, watchNamespaces=[second])


def test_two_in_one_namespace(site: Site) -> None:
    """Each has a Lease of its own, or one of them would never work."""
    namespace, shop, news = (site.namespace() for _ in range(3))
    site.install(namespace, "shop", watchNamespaces=[shop])
    site.install(namespace, "news", watchNamespaces=[news], crds__enabled=False)
    items = json.loads(site.kubectl("get", "deployments", "-n", namespace, "-o", "json").stdout)["items"]
    args = [item["spec"]["template"]["spec"]["containers"][0]["args"] for item in items]
    leases = {arg for each in args for arg in each if arg.startswith("--leader-election-id=")}
    assert len(leases) == 2


# ---- rights --------------------------------------------------------------------------------------------


def bind(site: Site, role: str, user: str, namespace: str) -> None:
    site.kubectl(
        "create", "rolebinding", unique(user), f"--clusterrole={role}", f"--user={user}", "-n", namespace
    )


def test_somebody_who_is_no_cluster_administrator(site: Site) -> None:
    """As the chart's README says."""
    namespace = site.namespace()
    user = unique("user")
    bind(site, "admin", user, namespace)
    message = site.refused(namespace, user=user)
    assert "forbidden" in message and "set crds.enabled=false" in message
    message = site.refused(namespace, user=user, crds__enabled=False)
    assert "forbidden" in message and "set rbac.create=false" in message

    site.kubectl("apply", "-f", ROOT / "crds")
    only = "--namespace", namespace, "--set", f"watchNamespaces={{{namespace}}}"
    shown = re.findall(r"--show-only \S+", (CHART / "README.md").read_text())
    rights = helm("template", NAME, CHART, *only, *" ".join(shown).split()).stdout
    site.kubectl("apply", "-f", "-", text=rights)
    try:
        values = {"crds.enabled": False, "rbac.create": False}
        kubeconfig = site.cluster.kubeconfig_of(user, site.folder)
        done = site.try_helm("install", NAME, CHART, *only, values=values, kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
        operator = f"system:serviceaccount:{namespace}:{NAME}"
        assert site.may(operator, "patch", "secrets", namespace)
        what = "sessmtpcredentials.ses-smtp.dev"
        wait_for("who installed it can use it", lambda: site.may(user, "create", what, namespace))
        done = site.try_helm("uninstall", NAME, "--namespace", namespace, kubeconfig=kubeconfig)
        assert done.returncode == 0, done.stderr
    finally:
        site.kubectl("delete", "clusterroles", f"-l=app.kubernetes.io/instance={NAME}")


def test_rights_of_the_operator(site: Site) -> None:
    everywhere, shop, other = (site.namespace() for _ in range(3))
    site.install(everywhere)
    operator = f"system:serviceaccount:{everywhere}:{NAME}"
    assert site.may(operator, "watch", "secrets", shop)
    assert not site.may(operator, "delete", "secrets", shop)
    assert not site.may(operator, "update", "secrets", shop)
    assert site.may(operator, "patch", "sessmtpcredentials.ses-smtp.dev", shop, sub="status")
    assert not site.may(operator, "patch", "sessmtpcredentials.ses-smtp.dev", shop)
    assert site.may(operator, "update", f"leases.coordination.k8s.io/{NAME}", everywhere)
    assert not site.may(operator, "update", "leases.coordination.k8s.io/another", everywhere)
    assert not site.may(operator, "get", f"leases.coordination.k8s.io/{NAME}", shop)
    site.helm("upgrade", NAME, CHART, "--namespace", everywhere, values={"watchNamespaces": [shop]})
    assert site.may(operator, "watch", "secrets", shop)
    assert not site.may(operator, "get", "secrets", other)
    assert not site.may(operator, "get", "secrets", everywhere)
    assert site.may(operator, "get", "/openapi/v3/apis/ses-smtp.dev/v1alpha1"), "to compare the CRD's schema"


def test_rights_of_users(site: Site) -> None:
    """Those of view, edit and admin, who may not claim a Secret as a target by writing the status."""
    namespace = site.namespace()
    what = "sessmtpcredentials.ses-smtp.dev"
    site.install(namespace)
    site.wait_served()
    users = {role: unique(role) for role in ("view", "edit", "admin")}
    for role, user in users.items():
        bind(site, role, user, namespace)
        wait_for(f"{role} reads", lambda user=user: site.may(user, "list", what, namespace))
    for role, user in users.items():
        if role != "view":
            wait_for(f"{role} writes", lambda user=user: site.may(user, "create", what, namespace))
        assert site.may(user, "delete", what, namespace) == (role != "view")
        for verb in ("patch", "update"):
            assert not site.may(user, verb, what, namespace, sub="status")
    assert not site.may(unique("nobody"), "list", what, namespace)


# ---- what API servers do -------------------------------------------------------------------------------


def strategy_of(site: Site, namespace: str) -> Object:
    found = site.kubectl("get", "deployment", NAME, "--namespace", namespace, "-o", "json").stdout
    return json.loads(found)["spec"]["strategy"]


def test_server_side_apply_takes_leader_election_away(site: Site) -> None:
    """As helm 4, Argo CD and Flux may do. What the API server put into `strategy` by itself goes."""
    namespace = site.namespace()

    def apply(*values: str) -> Object:
        made = helm("template", NAME, CHART, "--namespace", namespace, "--skip-tests", *values)
        site.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", text=made.stdout)
        return strategy_of(site, namespace)

    try:
        assert apply()["rollingUpdate"]
        assert apply("--set", "leaderElection.enabled=false") == {"type": "Recreate"}
        assert apply()["type"] == "RollingUpdate"
    finally:
        site.kubectl("delete", "clusterroles,clusterrolebindings", f"-l=app.kubernetes.io/instance={NAME}")


def test_upgrade_takes_leader_election_away(site: Site) -> None:
    namespace = site.namespace()
    site.install(namespace)
    for elects, wanted in ((False, "Recreate"), (True, "RollingUpdate")):
        site.helm("upgrade", NAME, CHART, "--namespace", namespace, values={"leaderElection.enabled": elects})
        assert strategy_of(site, namespace)["type"] == wanted


# ---- without helm --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [("-k", "overlays/cluster"), ("-k", "overlays/namespaced"), ("-f", "install.yaml")]
)
def test_kubectl_apply(site: Site, how: tuple[str, str]) -> None:
    flag, what = how[0], ROOT / "deploy" / how[1]
    try:
        for _ in range(2):
            site.kubectl("apply", "--server-side", flag, what)
        operator = f"system:serviceaccount:{NAMESPACE}:{NAME}"
        assert site.may(operator, "patch", "secrets", "default")
        assert site.may(operator, "list", "secrets", "kube-system") == ("namespaced" not in how[1])
        assert site.may(operator, "update", f"leases.coordination.k8s.io/{NAME}", NAMESPACE)
    finally:
        site.kubectl("delete", flag, what, "--ignore-not-found", "--timeout=60s")


def commands_of(file: Path) -> list[list[str]]:
    """Those that its comments name."""
    return [line.split()[2:] for line in file.read_text().splitlines() if line.startswith("#   kubectl ")]


def test_uninstalling_install_yaml_leaves_the_credentials(site: Site) -> None:
    """By the command at its head, which the documentation has too."""
    file = ROOT / "deploy/install.yaml"
    apply, delete = commands_of(file)
    assert apply == ["apply", "--server-side", "-f", "deploy/install.yaml"]
    assert f"kubectl {' '.join(delete)}\n" in (ROOT / "docs/install.md").read_text()
    namespace = site.namespace()
    try:
        site.kubectl(*apply[:-1], file)
        credential, target = site.credential_with_target(namespace)
        crd = site.crd()
        site.kubectl(*(file if word == "deploy/install.yaml" else word for word in delete))
        assert uid(site.crd()) == uid(crd)
        assert "deletionTimestamp" not in site.crd()["metadata"]
        assert uid(site.api.get("SesSmtpCredential", "shop-mail", namespace)) == uid(credential)
        assert uid(site.api.get("Secret", "shop-mail", namespace)) == uid(target)
        for kinds in (
            "deployments,services,serviceaccounts,roles,rolebindings",
            "clusterroles,clusterrolebindings",
        ):
            command = "get", kinds, "-n", NAMESPACE, f"-l=app.kubernetes.io/instance={NAME}", "-o", "name"
            assert site.kubectl(*command).stdout == ""
    finally:
        site.kubectl("delete", "-f", file, "--ignore-not-found", "--timeout=60s")


def test_from_all_namespaces_to_some(site: Site) -> None:
    """As the overlay says."""
    folder = ROOT / "deploy/overlays/namespaced"
    apply, delete = commands_of(folder / "kustomization.yaml")
    operator = f"system:serviceaccount:{NAMESPACE}:{NAME}"
    try:
        site.kubectl("apply", "--server-side", "-k", ROOT / "deploy/overlays/cluster")
        site.kubectl(*apply[:-1], folder)
        assert site.may(operator, "list", "secrets", "kube-system")
        site.kubectl(*delete)
        wait_for(
            "rights elsewhere are gone", lambda: not site.may(operator, "list", "secrets", "kube-system")
        )
        assert site.may(operator, "patch", "secrets", "default")
    finally:
        for overlay in ("namespaced", "cluster"):
            what = ROOT / "deploy/overlays" / overlay
            site.kubectl("delete", "-k", what, "--ignore-not-found", "--timeout=60s")
