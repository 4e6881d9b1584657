"""A page of docs/consumers, done as it says, in a namespace of its own.

What a page may count on: a Secret "mail-iam" with an IAM key. Its YAML blocks are applied in their order, as
they are but for what a node without registry, DNS and Amazon forces (`Consumer.here`). Its shell blocks below
these headings are run, by a shell whose kubectl points to the namespace:

    Send a mail        hands one mail over to SES, or fails; run as often as the test likes
    After a rotation   what one has to do for the new login to be used; a page may have none

The table in docs/consumers/index.md says what to expect of each page.
"""

import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from harness import REGION, World, unique
from node import HOST, Mail, Node
from oracle import Key, plain
from pages import BLOCKS, DOCS, rows

from kube import Object

INDEX = "consumers/index.md"
IMAGE = "localhost/mail-consumers:1"
SOURCE = "mail-iam"
SEND, ROTATED = "Send a mail", "After a rotation"
# For those that do not look into /etc/ssl/certs by themselves.
TRUST = [
    {"name": "NODE_EXTRA_CA_CERTS", "value": "/etc/ssl/certs/ca-certificates.crt"},
    {"name": "JAVA_TOOL_OPTIONS", "value": "-Djavax.net.ssl.trustStore=/etc/ssl/certs/cacerts"},
]


def image() -> Path:
    """With the programs of all pages; it is made once a week."""
    recipe = Path(__file__).with_name("image")
    made = subprocess.run([recipe], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


def new_key() -> Key:
    """One whose password has both characters that break URLs and quoting."""
    while not {"+", "/"} <= set((key := Key.new()).password(REGION)):
        pass
    return key


class Page:
    """What it says, and what the index says about it. Of a page with several ways to do it each way is one,
    named by its section; what stands outside of these sections belongs to all."""

    def __init__(self, name: str, way: str, tried: str, follows: str, security: str):
        self.name, self.way, self.security = name, way, security.strip("`")
        self.tried, self.follows = tried == "yes", follows == "yes"

    def __str__(self) -> str:
        return f"{self.name}-{self.way}" if self.way else self.name

    def texts(self, language: str, heading: str = "") -> list[str]:
        """The blocks of a language, those below a heading when one is given."""
        path = f"docs/consumers/{self.name}.md"
        ways = {page.way for page in pages() if page.name == self.name}
        found = []
        for block in BLOCKS:
            if (block.page, block.language) == (path, language):
                section, nearest = self.headings[block.line]
                if section not in ways - {self.way} and heading in ("", nearest):
                    found.append(block.text)
        return found

    @cached_property
    def headings(self) -> dict[int, tuple[str, str]]:
        """Of each line, the section that it is in, as links name it, and the heading above it."""
        found, section, heading = {}, "", ""
        for number, line in enumerate((DOCS / f"consumers/{self.name}.md").read_text().splitlines(), 1):
            if match := re.match(r"(##+) (.+)", line):
                heading = match[2]
                section = heading.lower().replace(" ", "-") if match[1] == "##" else section
            found[number] = section, heading
        return found

    @property
    def objects(self) -> list[Object]:
        return [each for text in self.texts("yaml") for each in yaml.safe_load_all(text)]

    @property
    def mode(self) -> str:
        """The TLS of its port."""
        [credential] = [each for each in self.objects if each["kind"] == "SesSmtpCredential"]
        port = credential["spec"].get("endpoint", {}).get("port", 587)
        return "implicit" if port in (465, 2465) else "starttls"


def pages() -> list[Page]:
    """Those with a link in the first column of the index."""
    found = []
    for consumer, tried, follows, _, security in rows(INDEX, "consumer"):
        if link := re.fullmatch(r"\[.+\]\((\w+)\.md(?:#([\w-]+))?\)", consumer):
            found.append(Page(link[1], link[2] or "", tried, follows, security))
    return found


class Consumer:
    """A page that was done. `keys` are those it had, the newest last."""

    def __init__(self, page: Page, node: Node, mail: Mail, folder: Path):
        self.page, self.node, self.mail, self.keys = page, node, mail, [new_key()]
        self.world = World(node, unique(f"consumer-{page}"))
        self.folder = folder
        folder.mkdir()

    def apply(self) -> None:
        level = {"pod-security.kubernetes.io/enforce": self.page.security}
        self.node.namespace(self.world.namespace, **level)
        self.mail.trust(self.world.namespace)
        self.world.write_source(plain(self.keys[-1]), SOURCE)
        text = yaml.safe_dump_all(self.here(each) for each in self.page.objects)
        self.node.kubectl("apply", f"--namespace={self.world.namespace}", "--filename=-", text=text)

    def here(self, thing: Object) -> Object:
        """Its pods have the local image, find SES at the fake one's address, and trust its certificate."""
        for pod in pods_of(thing):
            pod["hostAliases"] = [{"ip": self.mail.ip, "hostnames": [HOST]}]
            # Nodemailer asks the DNS first, and falls back to that only when it is refused an answer.
            pod |= {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["127.0.0.1"]}}
            pod.setdefault("volumes", []).append({"name": "trust", "configMap": {"name": "trust"}})
            for container in pod.get("initContainers", []) + pod["containers"]:
                container |= {"image": IMAGE, "imagePullPolicy": "Never"}
                container["env"] = [*container.get("env", []), *TRUST]
                container.setdefault("volumeMounts", []).append(
                    {"name": "trust", "mountPath": "/etc/ssl/certs", "readOnly": True}
                )
        return thing

    def wait_ready(self) -> None:
        here = f"--namespace={self.world.namespace}"
        self.node.kubectl("wait", here, "sesc", "--all", "--for=condition=Ready", "--timeout=50s")
        for kind in ("deployments", "statefulsets"):
            for name in self.node.kubectl("get", kind, here, "--output=name").stdout.split():
                self.node.kubectl("rollout", "status", here, name, "--timeout=50s")

    def run(self, heading: str) -> None:
        """The shell blocks below it."""
        for text in self.page.texts("shell", heading):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env=os.environ | self.shell,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}{done.stdout}\n{self.describe()}"

    @cached_property
    def shell(self) -> dict[str, str]:
        (self.folder / "kubectl").symlink_to(self.node.info["kubectl"])
        config = yaml.safe_load(self.node.kubeconfig.read_text())
        for context in config["contexts"]:
            context["context"]["namespace"] = self.world.namespace
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(yaml.safe_dump(config))
        return {"PATH": f"{self.folder}:{os.environ['PATH']}", "KUBECONFIG": str(kubeconfig)}

    def sent(self, key: Key) -> list[Object]:
        return [one for one in self.mail.log("mail") if one["user"] == key.id]

    def refused(self) -> list[Object]:
        ids = [key.id for key in self.keys]
        return [one for one in self.mail.log("refused") if one["user"] in ids]

    def describe(self) -> str:
        here = f"--namespace={self.world.namespace}"
        pods = self.node.kubectl("get", "pods", here, "--output=name").stdout.split()
        logs = [self.node.kubectl("logs", here, pod, "--all-containers", check=False).stdout for pod in pods]
        return "\n".join([self.world.describe(), *logs])


def pods_of(thing: Object) -> list[dict[str, Any]]:
    spec = thing.get("spec", {})
    if thing["kind"] == "Pod":
        return [spec]
    template = (spec["jobTemplate"]["spec"] if thing["kind"] == "CronJob" else spec).get("template")
    return [template["spec"]] if isinstance(template, dict) else []
