"""The Kubernetes API in a few verbs. Objects are plain dicts, as in YAML."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes import config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

__all__ = ["Api", "ApiException", "Object"]

Object = dict[str, Any]

RBAC, ADMISSION = "/apis/rbac.authorization.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1"
APPS = "/apis/apps/v1"
KINDS = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Namespace": ("/api/v1", "namespaces"),
    "Pod": ("/api/v1", "pods"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "Secret": ("/api/v1", "secrets"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "ControllerRevision": (APPS, "controllerrevisions"),
    "DaemonSet": (APPS, "daemonsets"),
    "Deployment": (APPS, "deployments"),
    "ReplicaSet": (APPS, "replicasets"),
    "StatefulSet": (APPS, "statefulsets"),
    "ClusterRole": (RBAC, "clusterroles"),
    "ClusterRoleBinding": (RBAC, "clusterrolebindings"),
    "Role": (RBAC, "roles"),
    "RoleBinding": (RBAC, "rolebindings"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "SesSmtpCredential": ("/apis/ses-smtp.dev/v1alpha1", "sessmtpcredentials"),
    "ValidatingAdmissionPolicy": (ADMISSION, "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": (ADMISSION, "validatingadmissionpolicybindings"),
    "ValidatingWebhookConfiguration": (ADMISSION, "validatingwebhookconfigurations"),
}


class Api:
    """Answers other than 2xx are raised as ApiException, but for the 404 of get and delete."""

    def __init__(self, kubeconfig: Path):
        self._client = config.new_client_from_config(str(kubeconfig))

    def request(
        self, method: str, path: str, body: Object | None = None, **query: Any
    ) -> tuple[Object, dict[str, str]]:
        """The answer's object and its headers."""
        apply = method == "PATCH" and "fieldManager" in query
        content = {"PATCH": "application/apply-patch+yaml" if apply else "application/merge-patch+json"}
        answer, _, headers = self._client.call_api(
            path,
            method,
            query_params=[(name, value) for name, value in query.items() if value is not None],
            header_params={
                "Accept": "application/json",
                "Content-Type": content.get(method, "application/json"),
            },
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
            _request_timeout=30,
        )
        return answer, headers

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return self._unless_missing("GET", path(kind, namespace, name))

    def list(self, kind: str, namespace: str | None = None, **query: Any) -> list[Object]:
        return self.request("GET", path(kind, namespace), **query)[0]["items"]

    def create(self, kind: str, body: Object, namespace: str | None = None, **query: Any) -> Object:
        return self.request("POST", path(kind, namespace), typed(kind, body), **query)[0]

    def replace(self, kind: str, body: Object, namespace: str | None = None, **query: Any) -> Object:
        where = path(kind, namespace, body["metadata"]["name"])
        return self.request("PUT", where, typed(kind, body), **query)[0]

    def patch(
        self, kind: str, name: str, body: Object, namespace: str | None = None, sub: str = ""
    ) -> Object:
        """A merge patch: null removes a field."""
        return self.request("PATCH", path(kind, namespace, name, sub), body)[0]

    def apply(self, kind: str, body: Object, namespace: str | None = None, manager: str = "tests") -> Object:
        """A server-side apply that takes over what others own."""
        where = path(kind, namespace, body["metadata"]["name"])
        return self.request("PATCH", where, typed(kind, body), fieldManager=manager, force="true")[0]

    def delete(self, kind: str, name: str, namespace: str | None = None, **options: Any) -> None:
        self._unless_missing("DELETE", path(kind, namespace, name), options or None)

    def changes(self, kind: str, namespace: str, since: str) -> Iterator[Object]:
        """The objects of every event since that resourceVersion, as a watch replays them."""
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "1"}
        answer, _, _ = self._client.call_api(
            path(kind, namespace),
            "GET",
            query_params=list(query.items()),
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=30,
        )
        events = [json.loads(line) for line in answer.data.splitlines()]
        assert all(event["type"] in ("ADDED", "MODIFIED", "DELETED") for event in events), events
        return (event["object"] for event in events)

    def watch(self, kind: str, since: int, seconds: int) -> Iterator[Object]:
        """The events in all namespaces since that revision, as they come, and bookmarks. Ends by itself.
        An API server that goes away meanwhile is an OSError; the object of an event ERROR is a Status."""
        query = {"watch": "true", "resourceVersion": str(since), "allowWatchBookmarks": "true"}
        try:
            answer, _, _ = self._client.call_api(
                path(kind),
                "GET",
                query_params=[*query.items(), ("timeoutSeconds", str(seconds))],
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=2 * seconds,
            )
            try:
                rest = b""
                for part in answer.stream(None):
                    *lines, rest = (rest + part).split(b"\n")
                    yield from map(json.loads, lines)
            finally:
                answer.release_conn()
        except HTTPError as error:
            raise OSError(str(error)) from error

    def everything(self, *but: str) -> Iterator[Object]:
        """All objects of all resources of the cluster, but those of some kinds."""
        groups = self.request("GET", "/apis")[0]["groups"]
        roots = ["/api/v1"] + [
            f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"]
        ]
        for root in roots:
            for resource in self.request("GET", root)[0]["resources"]:
                if "list" in resource["verbs"] and resource["kind"] not in but:
                    yield from self.request("GET", f"{root}/{resource['name']}")[0]["items"]

    def _unless_missing(self, method: str, where: str, body: Object | None = None) -> Object | None:
        try:
            return self.request(method, where, body)[0]
        except ApiException as error:
            if error.status != 404:
                raise
            return None


def path(kind: str, namespace: str | None = None, name: str = "", sub: str = "") -> str:
    root, plural = KINDS[kind]
    scope = f"namespaces/{namespace}" if namespace else ""
    return "/".join(filter(None, [root, scope, plural, name, sub]))


def typed(kind: str, body: Object) -> Object:
    version = KINDS[kind][0].removeprefix("/apis/").removeprefix("/api/")
    return {"apiVersion": version, "kind": kind} | body


def status_of(error: ApiException) -> Object:
    """The Status object that the API server sent."""
    return json.loads(error.body)
