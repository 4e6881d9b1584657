"""What the pages tell to type or to apply is accepted by what it is typed into."""

import functools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from harness import BINARY, Cluster
from pages import BLOCKS, OBJECTS, ROOT, SHELL, VALUES, Block, code_in, rows

CHART = ROOT / "charts/ses-smtp-operator"
HELPED = ("helm", "kubectl", "ses-smtp")
# Objects for programs that the cluster of the tests does not have.
FOREIGN = {"kustomize.toolkit.fluxcd.io/v1", "kustomize.config.k8s.io/v1beta1"}
APPLIED = [(block, each) for block, each in OBJECTS if each["apiVersion"] not in FOREIGN]


def name_of(value: object) -> str:
    return str(value) if isinstance(value, Block) else str(value["kind"]) if isinstance(value, dict) else ""


def test_the_pages_have_examples_of_all_sorts() -> None:
    kinds = {each["kind"] for _, each in OBJECTS}
    assert {"SesSmtpCredential", "Pod", "ConfigMap", "ValidatingAdmissionPolicy", "Kustomization"} <= kinds
    assert VALUES
    assert {"shell", "yaml", "json", "text"} <= {block.language for block in BLOCKS}


@pytest.mark.parametrize(("block", "example"), APPLIED, ids=name_of)
def test_objects_are_accepted_by_the_api_server(cluster: Cluster, block: Block, example: dict) -> None:
    namespace = example["metadata"].get("namespace", "default")
    cluster.kubectl("create", "namespace", namespace, check=False)
    done = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-",
        text=yaml.safe_dump(example), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_kustomization_changes_the_image(cluster: Cluster, tmp_path: Path) -> None:
    [example] = [each for _, each in OBJECTS if each["apiVersion"] == "kustomize.config.k8s.io/v1beta1"]
    [remote] = example["resources"]
    folder = re.fullmatch(r"https://github\.com/[\w/-]+//([\w/]+)\?ref=v[\d.]+", remote)[1]
    local = example | {"resources": [os.path.relpath(ROOT / folder, tmp_path.resolve())]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(local))
    objects = list(yaml.safe_load_all(cluster.kubectl("kustomize", tmp_path).stdout))
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/ses-smtp-operator:v")


@pytest.mark.parametrize(
    "sample", sorted((ROOT / "deploy/samples").glob("*.yaml")), ids=lambda path: path.name
)
def test_samples_are_accepted_by_the_api_server(cluster: Cluster, sample: Path) -> None:
    cluster.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", f"--filename={sample}")


@pytest.mark.parametrize("block", VALUES, ids=str)
def test_values_are_those_of_the_chart(helm: str, block: Block, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(block.text)
    render(helm, "--values", str(file))


def test_values_on_command_lines_are_those_of_the_chart(helm: str) -> None:
    given = [
        words[place + 1]
        for block in SHELL
        for words in block.commands
        if words[0] == "helm"
        for place, word in enumerate(words)
        if word == "--set"
    ]
    assert given
    for setting in set(given):
        render(helm, "--set", setting)


def render(helm: str, *args: str) -> None:
    command = [helm, "template", "ses-smtp-operator", str(CHART), *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page", ["install.md", "operations.md", "security.md", "troubleshooting.md", "verify.md"]
)
def test_values_in_the_text_are_those_of_the_chart(page: str) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for code in code_in(page):
        path = re.fullmatch(r"([a-zA-Z]+(?:\.[a-zA-Z]+)*)(?::? ?=?.*)?", code)
        first, *rest = path[1].split(".") if path else [""]
        if first not in values or not (rest or ":" in code):
            continue
        value = values[first]
        for name in rest:
            assert isinstance(value, dict) and name in value, f"{page}: `{code}`"
            value = value[name]


def rendered(objects: list[dict]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, "render", "--filename=-", "--show=status"],
        input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=False,
    )  # fmt: skip


SOURCES = [each for block, each in OBJECTS if block.page == "docs/sources.md" and each["kind"] == "Secret"]
PRESETS = [row[0].split("`")[1] for row in rows("sources.md", "preset")]


def test_each_preset_has_an_example() -> None:
    [crd] = (ROOT / "crds").glob("*.yaml")
    spec = yaml.safe_load(crd.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    known = spec["spec"]["properties"]["source"]["properties"]["preset"]["enum"]
    assert PRESETS == [preset for preset in known if preset != "Auto"]
    assert len(SOURCES) == len(PRESETS)


@pytest.mark.parametrize(("preset", "source"), zip(PRESETS, SOURCES, strict=True), ids=name_of)
def test_each_example_of_a_source_is_recognised(preset: str, source: dict) -> None:
    """By itself, and as the preset below whose heading it stands."""
    page = [each for block, each in OBJECTS if block.page == "docs/sources.md"]
    credential = next(each for each in page if each["kind"] == "SesSmtpCredential")
    explicit = {"secretName": credential["spec"]["source"]["secretName"], "preset": preset}
    for wanted in (credential["spec"]["source"], explicit):
        each = credential | {"spec": credential["spec"] | {"source": wanted}}
        done = rendered([each, source])
        assert done.returncode == 0, done.stderr


def test_each_example_of_a_target_would_be_ready() -> None:
    examples = [each for block, each in OBJECTS if block.page == "docs/targets.md"]
    assert len(examples) >= 3
    consent = {"annotations": {"ses-smtp.dev/allow-takeover-by": "shop-mail"}}
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-settings"} | consent}
    for example in examples:
        done = rendered([example, SOURCES[0], theirs])
        assert done.returncode == 0, done.stderr


COMMANDS = [(block, words) for block in SHELL for words in block.commands if Path(words[0]).name in HELPED]


@pytest.mark.parametrize(
    ("block", "words"),
    COMMANDS,
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else str(value),
)
def test_flags_on_command_lines_exist(cluster: Cluster, helm: str, block: Block, words: list[str]) -> None:
    programs = {"helm": helm, "kubectl": cluster.info["kubectl"], "ses-smtp": str(BINARY)}
    program, *rest = words
    rest = rest[: rest.index("--")] if "--" in rest else rest  # what follows is another program's
    subcommands = []
    for word in rest:
        if not re.fullmatch(r"[a-z-]+", word) or word.startswith("-"):
            break
        subcommands.append(word)
    known = help_of(programs[Path(program).name], *subcommands)
    for flag in (word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)):
        assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", known), f"{block}: {' '.join(words)}"


@functools.cache
def help_of(program: str, *words: str) -> str:
    """Of the longest beginning of the words that is a command: the rest are names."""
    for end in range(len(words), 0, -1):
        done = subprocess.run([program, *words[:end], "--help"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            extra = ["options"] if program.endswith("kubectl") else []
            shared = subprocess.run([program, *extra], capture_output=True, text=True) if extra else None
            return done.stdout + (shared.stdout if shared else "")
    raise AssertionError(f"{program} has no command {' '.join(words)}")


def test_flags_in_the_text_exist() -> None:
    known = "".join(help_of(str(BINARY), command) for command in ("controller", "derive", "render"))
    for page in ("concepts.md", "gitops.md", "operations.md", "troubleshooting.md", "faq.md", "verify.md"):
        for code in code_in(page):
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code):
                if "kubectl" not in code:
                    assert re.search(rf"{flag}(?![\w-])", known), f"{page}: `{code}`"


def test_the_table_of_flags_is_that_of_the_program() -> None:
    told = help_of(str(BINARY), "controller")
    real = {}
    for flag, default, variable, meaning in re.findall(
        r"^  (--[a-z-]+)(?:,--no-[a-z-]+\{false\})?.*?(?:=(\S+))? \(Env:(\w+)\)$"
        r"\n +(.+?)(?: \(default: .*\))?$",
        told,
        re.MULTILINE,
    ):
        real[flag] = variable, meaning, default
    assert len(real) > 10
    table = {
        flag.strip("`"): (variable.strip("`"), meaning, default)
        for flag, meaning, default, variable in rows("operations.md", "flag")
    }
    assert {flag: told[:2] for flag, told in table.items()} == {flag: told[:2] for flag, told in real.items()}
    assert {flag: told[2] for flag, told in table.items() if real[flag][2]} == {
        flag: told[2] for flag, told in real.items() if told[2]
    }


def test_each_warning_is_explained() -> None:
    """Those that come while the object is Ready; the others are reasons, which the API reference links."""
    code = (ROOT / "src/api/event_reason.cpp").read_text()
    warnings = re.findall(r'\{EventReason::k\w+, "(\w+)", kWarning,', code)
    assert len(warnings) > 4
    assert sorted(f"`{name}`" for name in warnings) == sorted(
        row[0] for row in rows("troubleshooting.md", "event")
    )


def test_the_table_of_rights_is_that_of_the_roles() -> None:
    granted = set()
    for role in yaml.safe_load_all((ROOT / "deploy/base/rbac.yaml").read_text()):
        if role["metadata"]["name"].startswith("ses-smtp-operator") and "aggregationRule" not in role:
            labels = role["metadata"].get("labels", {})
            if any("aggregate-to" in label for label in labels):
                continue  # for people
            for rule in role.get("rules", []):
                granted |= {(resource, verb) for resource in rule["resources"] for verb in rule["verbs"]}
    told = {(re.split(r"[ ,]", resource)[0], verb) for resource, verb, _ in rows("operations.md", "resource")}
    assert told == granted


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for block in SHELL for words in block.commands if words[0] == "make"}
    assert named and named <= targets


def test_the_password_that_python_derives_is_the_right_one(tmp_path: Path) -> None:
    [script] = [block.text for block in BLOCKS if "import base64,hmac" in block.text]
    [vector, *_] = json.loads((ROOT / "tests/vectors.json").read_text())["v4"]
    (tmp_path / "key").write_text(vector["secret"] + "\n")
    script = script.replace("eu-west-1", vector["region"])
    for held, right in ((vector["password"], True), ("x" * 44, False)):
        (tmp_path / "held").write_text(held)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.stdout == "same\n") == right, done.stdout + done.stderr
        assert held not in done.stdout + done.stderr
