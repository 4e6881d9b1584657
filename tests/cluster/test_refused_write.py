"""The API server does not take the target: row 42."""

from collections.abc import Callable, Iterator

import pytest
from harness import REGION, Cluster, Controller, World, data_of, encode
from oracle import Key, mask, plain, target_data
from targets import assert_untouched

from kube import ApiException, Object

pytestmark = pytest.mark.usefixtures("controller")


def test_quota_exceeded(world: World) -> None:
    """42 | quota exceeded, or the write denied by an admission policy | untouched | Ready False
    `QuotaExceeded` or `AdmissionDenied`, Reconciling; tried again now and then, the server's message is
    not shown"""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"secrets": "1"}}}
    world.api.create("ResourceQuota", quota, world.namespace)
    used = {"status": {"hard": {"secrets": "1"}, "used": {"secrets": "1"}}}
    world.api.patch("ResourceQuota", "few", used, world.namespace, sub="status")
    world.wait_for("the quota is in force", lambda: is_refused(world, {}))
    world.create_credential()
    credential = world.wait_not_ready("QuotaExceeded")
    assert "few" not in str(credential["status"]), "the server's message is not passed on"
    assert world.secret() is None
    world.api.delete("ResourceQuota", "few", world.namespace)
    world.change_credential(region=REGION)
    world.wait_synced()


def is_refused(world: World, data: Object) -> str:
    """What the API server says to a Secret with this data, or nothing when it would take it."""
    try:
        probe = {"metadata": {"name": "probe"}, "data": data}
        world.api.create("Secret", probe, world.namespace, dryRun="All")
        return ""
    except ApiException as error:
        assert error.status in (403, 422)
        return error.body


@pytest.fixture
def policy(world: World) -> Iterator[Callable[..., None]]:
    """Puts an admission policy on every Secret of the world that has a password."""

    def make(reason: str, message: str) -> None:
        rules = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["secrets"],
        }
        validation = {
            "expression": "!has(object.data) || !('password' in object.data)",
            "messageExpression": message,
            "reason": reason,
        }
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [rules],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            },
            "validations": [validation],
        }
        name = {"metadata": {"name": world.namespace}}
        world.api.create("ValidatingAdmissionPolicy", name | {"spec": spec})
        bound = {"policyName": world.namespace, "validationActions": ["Deny"]}
        world.api.create("ValidatingAdmissionPolicyBinding", name | {"spec": bound})
        world.wait_for("the policy is in force", lambda: is_refused(world, {"password": encode("probe")}))

    yield make
    for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
        world.api.delete(kind, world.namespace)


@pytest.mark.parametrize("reason", ["Forbidden", "Invalid"])
def test_admission_denied(world: World, policy: Callable[..., None], reason: str) -> None:
    """42, for a policy's answer of either kind."""
    old, new = Key.new(), Key.new()
    _, first = world.synced(old)
    policy(reason, "'do not write this'")
    world.write_source(plain(new, region=REGION))
    credential = world.wait_not_ready("AdmissionDenied")
    assert "do not write this" not in str(credential["status"])
    assert_untouched(first, world.secret())
    assert credential["status"]["accessKeyId"] == mask(old.id), "always the id that the target holds"
    world.api.delete("ValidatingAdmissionPolicyBinding", world.namespace)
    world.wait_for("the policy is gone", lambda: not is_refused(world, {"password": encode("probe")}))
    world.change_credential(region=REGION)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION)


@pytest.fixture
def broken_webhook(world: World) -> Iterator[str]:
    """A webhook for the Secrets named shop-mail of the world that nobody answers. Yields its name."""
    rules = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["secrets"],
    }
    webhook = {
        "name": "broken.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rules],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "matchConditions": [
            {"name": "has-a-password", "expression": "has(object.data) && 'password' in object.data"}
        ],
    }
    name = world.namespace
    world.api.create("ValidatingWebhookConfiguration", {"metadata": {"name": name}, "webhooks": [webhook]})
    yield name
    world.api.delete("ValidatingWebhookConfiguration", name)


def test_broken_webhook(world: World, controller: Controller, broken_webhook: str) -> None:
    """42 | the API server fails on writing the target, say for a webhook that is down | untouched | Ready
    False `ApiError`, Reconciling, after a second; tried again at least every 30 s"""

    def write_is_broken() -> bool:
        try:
            probe = {"metadata": {"name": "probe"}, "data": {"password": encode("probe")}}
            world.api.create("Secret", probe, world.namespace, dryRun="All")
        except ApiException as error:
            return error.status == 500
        return False

    world.wait_for("the webhook is in force", write_is_broken)
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    credential = world.wait_not_ready("ApiError")
    assert "HTTP 500" in str(credential["status"])
    world.api.delete("ValidatingWebhookConfiguration", broken_webhook)
    world.wait_for("the webhook is gone", lambda: not write_is_broken())
    _, target = world.wait_synced(seconds=60)
    assert data_of(target) == target_data(key, REGION)


def test_status_that_is_refused(
    spare_cluster: Cluster, spare_world: World, own_controller: Callable[..., Controller]
) -> None:
    """42, for status, which a stricter CRD refuses with 422: to ask again would not help, so it is
    logged once, and the next change of the object is the next attempt."""
    rule = {"rule": "self != 'SourceNotFound'", "message": "no such reason here"}

    def restrict(crd: Object) -> None:
        status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
        reason = status["properties"]["conditions"]["items"]["properties"]["reason"]
        reason["x-kubernetes-validations"] = [rule]

    world, key = spare_world, Key.new()
    spare_cluster.install_crd(restrict)
    controller = own_controller(of=spare_cluster)
    world.settle()
    mark, log = spare_cluster.now(), controller.log_size()
    world.create_credential()
    world.wait_for("it is logged", lambda: controller.complaints(log, about=world.namespace))
    world.settle()
    [refused] = world.calls(mark, "mail", writes=True)
    assert (refused.resource, refused.code) == ("sessmtpcredentials/status", 422)
    assert len(controller.complaints(log, about=world.namespace)) == 1
    assert controller.metrics().total("controller_runtime_terminal_reconcile_errors_total") == 1
    world.write_source(plain(key, region=REGION))
    assert data_of(world.wait_synced()[1]) == target_data(key, REGION)
