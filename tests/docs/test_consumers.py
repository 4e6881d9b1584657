"""What the pages of docs/consumers mount is what the operator makes of their SesSmtpCredentials."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from consumer_pages import NOT_RUN, PAGES, ConsumerPage, security, tried
from harness import OPERATOR, Cluster, Controller, World, unique
from oracle import Key, plain
from pages import ROOT

REGION = "eu-west-1"
pages = pytest.mark.parametrize("page", PAGES, ids=str)


class Applied:
    """A page that was applied, in a namespace of its own, and the targets that the operator made."""

    def __init__(self, world: World, page: ConsumerPage):
        self.key = Key.new()
        world.write_source(plain(self.key), "mail-iam")
        world.cluster.kubectl(
            "apply", f"--namespace={world.namespace}", "--validate=strict", "--filename=-",
            text=yaml.safe_dump_all(page.objects),
        )  # fmt: skip
        world.cluster.kubectl(
            "wait",
            f"--namespace={world.namespace}",
            "sesc",
            "--all",
            "--for=condition=Ready",
            "--timeout=20s",
        )
        self.targets: dict[str, dict[str, str]] = {}
        for credential in page.credentials:
            name = credential["spec"].get("target", {}).get("name", credential["metadata"]["name"])
            data = world.api.get("Secret", name, world.namespace)["data"]
            self.targets[name] = {key: base64.b64decode(value).decode() for key, value in data.items()}


@pytest.fixture(scope="module")
def applied(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Applied]]:
    """Made when they are asked for."""
    folder = tmp_path_factory.mktemp("operator")
    controller = Controller(cluster.kubeconfig_of(OPERATOR, folder), folder / "log")
    controller.start()
    try:
        yield {}
    finally:
        assert controller.stop() == 0


@pytest.fixture
def done(applied: dict[str, Applied], cluster: Cluster, page: ConsumerPage) -> Applied:
    if str(page) not in applied:
        namespace = unique(f"consumer-{page}")
        cluster.api.create("Namespace", {"metadata": {"name": namespace}})
        applied[str(page)] = Applied(World(cluster, namespace), page)
    return applied[str(page)]


@pages
def test_keys_that_a_page_refers_to_are_in_its_target(page: ConsumerPage, done: Applied) -> None:
    assert page.references
    for reference in page.references:
        if reference.secret not in done.targets:
            assert page.tells_to_make(reference), f"{page} does not say where {reference} comes from"
        elif reference.key:
            found = sorted(done.targets[reference.secret])
            assert reference.key in found, f"there is no {reference}"


@pages
def test_every_target_is_used_and_holds_a_login(page: ConsumerPage, done: Applied) -> None:
    password = done.key.password(REGION)
    assert set(done.targets) <= {reference.secret for reference in page.references}
    for data in done.targets.values():
        text = "\n".join(data.values())
        assert done.key.id in text
        assert password in text or quote(password, safe="") in text


@pages
def test_variables_that_code_reads_come_from_the_target(page: ConsumerPage, done: Applied) -> None:
    keys = {key for data in done.targets.values() for key in data}
    assert page.variables <= keys


@pages
def test_values_that_are_files_have_their_syntax(page: ConsumerPage, done: Applied) -> None:
    for data in done.targets.values():
        for key, value in data.items():
            match Path(key).suffix:
                case ".json":
                    json.loads(value)
                case ".yaml" | ".yml":
                    yaml.safe_load(value)


@pytest.mark.parametrize("page", [page for page in PAGES if str(page) == "gitlab"], ids=str)
def test_values_for_gitlab_are_of_one_pair(page: ConsumerPage, done: Applied) -> None:
    [data] = done.targets.values()
    assert data["password"] == done.key.password(REGION)
    assert yaml.safe_load(data["values.yaml"])["global"]["smtp"] == {
        "address": f"email-smtp.{REGION}.amazonaws.com",
        "port": 465,
        "user_name": done.key.id,
    }
    [kept] = [values["global"]["smtp"] for values in page.values if "global" in values]
    assert (kept["tls"], kept["starttls_auto"]) == (True, False), "it would go on without TLS"


@pytest.mark.parametrize("page", [page for page in PAGES if str(page) == "keycloak"], ids=str)
def test_settings_for_keycloak_are_json(page: ConsumerPage, done: Applied) -> None:
    [data] = done.targets.values()
    server = json.loads(data["realm.json"])["smtpServer"]
    assert (server["user"], server["password"]) == (done.key.id, done.key.password(REGION))


@pages
def test_a_page_is_run_or_says_that_it_was_not(page: ConsumerPage) -> None:
    says = tried().get(str(page))
    assert says in ({"yes"}, {"no"}), f"{page} is not in docs/consumers/index.md, or both ways"
    assert (says == {"no"}) == (NOT_RUN in page.text)


@pages
def test_pods_keep_to_the_level_of_the_index(page: ConsumerPage, cluster: Cluster) -> None:
    """As the API server judges them: it warns, in its words."""
    [level] = security()[str(page)]
    workloads = [each for each in page.objects if each["kind"] in ("Deployment", "CronJob")]
    assert (level in ("baseline", "restricted")) == bool(workloads)
    if workloads:
        namespace = unique(f"level-{page}")
        labels = {"pod-security.kubernetes.io/warn": level}
        cluster.api.create("Namespace", {"metadata": {"name": namespace, "labels": labels}})
        done = cluster.kubectl(
            "create", f"--namespace={namespace}", "--dry-run=server", "--filename=-",
            text=yaml.safe_dump_all(workloads),
        )  # fmt: skip
        assert "would violate PodSecurity" not in done.stderr


@pages
def test_pages_have_one_shape(page: ConsumerPage) -> None:
    """What to apply first, and what goes wrong last; two ways to do it stand between."""
    sections = re.findall(r"^## (.+)$", page.text, re.MULTILINE)
    subsections = re.findall(r"^### (.+)$", page.text, re.MULTILINE)
    assert (sections[0], sections[-1]) == ("What to apply", "What goes wrong")
    assert "After a rotation" in sections + subsections
    assert ("Send a mail" in sections + subsections) == (tried()[str(page)] == {"yes"})


@pages
def test_a_page_is_in_the_navigation(page: ConsumerPage) -> None:
    assert re.search(rf"\bconsumers/{page}\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)


def test_no_row_of_the_index_is_without_a_page() -> None:
    assert set(tried()) == {str(page) for page in PAGES}
