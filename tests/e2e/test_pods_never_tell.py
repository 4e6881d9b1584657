"""Values of Secrets stay in Secrets: no pod of the operator, of this whole run, told one."""

import json

import pytest
from harness import REGION, World, wait_for
from node import NAMESPACE, Node
from oracle import EXAMPLE, ISSUED, Key
from test_secrets_never_leak import leaks


@pytest.mark.last
def test_no_value_in_logs_events_status_or_metrics(operator: Node, world: World) -> None:
    key = Key.new()
    _, target = world.synced(key)
    assert leaks(json.dumps(target).encode(), [key]) == ["id", "password"]
    logs = wait_for(  # they are followed, and this is the newest line
        "the logs to be those of the operator",
        lambda: (
            (files := operator.logs.files(NAMESPACE))
            and any(world.namespace.encode() in path.read_bytes() for path in files)
            and files
        ),
    )
    places = {f"the log {path.name}": path.read_bytes() for path in logs}
    for pod in operator.operator_pods():
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics"
        places[f"metrics of {name}"] = operator.kubectl("get", f"--raw={path}").stdout.encode()
        places[f"arguments of {name}"] = json.dumps(pod["spec"]).encode()
    for kind in ("Event", "SesSmtpCredential", "Lease", "Pod", "ConfigMap"):
        places[kind] = json.dumps(operator.api.list(kind)).encode()
    keys = [EXAMPLE, *ISSUED]
    assert len(keys) > 1
    told = {where: found for where, text in places.items() if (found := leaks(text, keys))}
    assert told == {}, REGION
