"""What tools/chart makes is current, and deploy/ installs what the chart does."""

import subprocess
from typing import Any

import pytest
import yaml
from harness import program

from charts import CHART, NAMESPACE, ROOT, Object, Objects, helm, parse, render

CRD_FILE = ROOT / "crds/ses-smtp.dev_sessmtpcredentials.yaml"
CRD = yaml.safe_load(CRD_FILE.read_text())
VERSION = (ROOT / "VERSION").read_text().strip()
META = yaml.safe_load((CHART / "Chart.yaml").read_text())
HELMS_OWN = {"app.kubernetes.io/managed-by", "helm.sh/chart"}


def test_generated_files_are_current() -> None:
    done = subprocess.run([ROOT / "tools/chart", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lint() -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


# Names from the documentation of Argo CD (sync options) and of Flux (Kustomization, prune).
KEPT = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}


def test_crd_of_the_chart() -> None:
    [crd] = render().of("CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} | KEPT
    [crd_that_goes] = render({"crds": {"keep": False}}).of("CustomResourceDefinition")
    assert "annotations" not in crd_that_goes["metadata"]
    assert crd["spec"] == CRD["spec"]
    assert crd["metadata"]["name"] == CRD["metadata"]["name"]


# ---- deploy/ -------------------------------------------------------------------------------------------


def kustomize(folder: str) -> Objects:
    command = [program("kubectl"), "kustomize", ROOT / "deploy" / folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def plain(objects: Objects) -> dict[Any, Object]:
    """Without what only helm needs, its tests, and the namespace, which it makes itself."""
    found = {}
    for key, item in objects.items():
        meta = item["metadata"]
        if item["kind"] == "Namespace" or "helm.sh/hook" in meta.get("annotations", {}):
            continue
        if item["kind"] == "CustomResourceDefinition":
            meta = {"name": meta["name"]}
        else:
            meta = meta | {
                "labels": {name: text for name, text in meta["labels"].items() if name not in HELMS_OWN}
            }
        found[key] = item | {"metadata": meta}
        if item["kind"] == "Deployment":  # the order of flags says nothing
            found[key]["spec"]["template"]["spec"]["containers"][0]["args"].sort()
    return found


def test_overlay_for_all_namespaces() -> None:
    assert plain(kustomize("overlays/cluster")) == plain(render())


def test_overlay_for_some_namespaces() -> None:
    objects = kustomize("overlays/namespaced")
    assert plain(objects) == plain(render({"watchNamespaces": ["default"]}))
    assert "secrets" not in yaml.dump(objects.of("ClusterRole"))


def test_install_yaml() -> None:
    objects = parse((ROOT / "deploy/install.yaml").read_text())
    assert plain(objects) == plain(render())
    assert list(objects)[:2] == [
        ("Namespace", NAMESPACE),
        ("CustomResourceDefinition", CRD["metadata"]["name"]),
    ]


def test_crd_of_deploy_is_left_by_argo_cd_and_flux() -> None:
    for objects in (kustomize("overlays/cluster"), parse((ROOT / "deploy/install.yaml").read_text())):
        crd = objects.the("CustomResourceDefinition")
        assert crd["metadata"]["annotations"] == KEPT
        assert crd["spec"] == CRD["spec"]


@pytest.mark.parametrize("file", ["install.yaml", "base/rbac.yaml", "base/operator.yaml"])
def test_no_mark_of_helm(file: str) -> None:
    """But for a field's description in the CRD, which names the value for those who have helm."""
    text = " ".join((ROOT / "deploy" / file).read_text().lower().split())
    assert "helm" not in text.replace("charts/", "").replace("(helm value rolloutrestart.enabled)", "")


def test_namespace_takes_restricted_pods_only() -> None:
    labels = kustomize("base").the("Namespace")["metadata"]["labels"]
    assert labels == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_every_verb_has_its_reason() -> None:
    lines = (ROOT / "deploy/base/rbac.yaml").read_text().splitlines()
    verbs = [line for line in lines if line.strip().split(" #")[0] in
             {f"- {verb}" for verb in ("get", "list", "watch", "create", "patch", "update")}]  # fmt: skip
    assert len(verbs) == 5 + 2 + 1 + 2 + 1 + 3
    assert [line for line in verbs if " # " not in line] == []


# ---- Chart.yaml ----------------------------------------------------------------------------------------


def annotation(name: str) -> Any:
    return yaml.safe_load(META["annotations"][f"artifacthub.io/{name}"])


def test_one_version() -> None:
    assert META["version"] == VERSION
    assert META["appVersion"] == f"v{VERSION}"
    image = f"ghcr.io/ses-smtp-operator/ses-smtp-operator:v{VERSION}"
    assert [entry["image"] for entry in annotation("images")] == [image]
    spec = render().the("Deployment")["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == image


def test_artifact_hub_annotations() -> None:
    """Their forms are those of https://artifacthub.io/docs/topics/annotations/helm."""
    assert annotation("operator") is True
    assert annotation("operatorCapabilities") in (
        "Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot",
    )  # fmt: skip
    assert annotation("license") == "Apache-2.0"
    assert {entry["kind"] for entry in annotation("changes")} <= {
        "added", "changed", "deprecated", "removed", "fixed", "security",
    }  # fmt: skip
    assert all(entry["url"].startswith("https://") for entry in annotation("links"))
    [crd] = annotation("crds")
    names, [version] = CRD["spec"]["names"], CRD["spec"]["versions"]
    assert (crd["kind"], crd["version"], crd["name"]) == (
        names["kind"], version["name"], CRD["metadata"]["name"],
    )  # fmt: skip
    sample = yaml.safe_load((ROOT / "deploy/samples/minimal.yaml").read_text())
    assert annotation("crdsExamples") == [sample]
