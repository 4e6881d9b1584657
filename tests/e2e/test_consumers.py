"""docs/consumers, done as the pages say: the real programs log in with what the operator made for them."""

import time
from collections.abc import Callable, Iterator

import pytest
from consumers.page import ROTATED, SEND, SOURCE, Consumer, Page, image, new_key, pages
from harness import wait_for
from node import Mail, Node
from oracle import plain
from test_secrets_never_leak import leaks

Consumers = dict[str, Consumer]
TRIED = [page for page in pages() if page.tried]


@pytest.fixture(scope="module")
def consumers(operator: Node, mail: Mail, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consumers]:
    """All pages, applied: their pods start while tests look at others."""
    operator.load(image())
    folder = tmp_path_factory.mktemp("consumers")
    made = {str(page): Consumer(page, operator, mail, folder / str(page)) for page in TRIED}
    try:
        mail.accept(*(key for each in made.values() for key in each.keys))
        for each in made.values():
            each.apply()
        yield made
    finally:
        for each in made.values():
            operator.api.delete("Namespace", each.world.namespace)


@pytest.fixture(scope="module")
def rotated(consumers: Consumers, mail: Mail) -> Consumers:
    """Each has another key; the one before is still active, as IAM allows."""
    for each in consumers.values():
        each.keys.append(new_key())
    mail.accept(*(key for each in consumers.values() for key in each.keys))
    for each in consumers.values():
        each.world.write_source(plain(each.keys[-1]), SOURCE)
    return consumers


@pytest.fixture(scope="module")
def revoked(rotated: Consumers, mail: Mail) -> Consumers:
    """The keys before the rotation are gone."""
    mail.accept(*(each.keys[-1] for each in rotated.values()))
    return rotated


@pytest.mark.parametrize("page", TRIED, ids=str)
def test_sends_mail(consumers: Consumers, page: Page) -> None:
    """With a password that has '+' and '/'."""
    consumer = consumers[str(page)]
    consumer.wait_ready()
    consumer.run(SEND)
    [key] = consumer.keys
    sent = wait_for("a mail is sent", lambda: consumer.sent(key), 30, consumer.describe)
    assert {one["tls"] for one in sent} == {page.mode}
    assert consumer.refused() == []


@pytest.mark.parametrize("page", TRIED, ids=str)
def test_follows_a_rotation_as_the_page_says(
    rotated: Consumers, page: Page, tell: Callable[[str], None]
) -> None:
    """Never with half of a pair: SES would refuse that."""
    consumer = rotated[str(page)]
    key = consumer.keys[-1]
    began = time.monotonic()
    assert page.follows == (page.texts("shell", ROTATED) == [])
    consumer.run(ROTATED)
    wait_for("pods that were replaced are gone", lambda: not ending_pods(consumer), 60, consumer.describe)
    deadline = time.monotonic() + 90
    while not consumer.sent(key):
        assert time.monotonic() < deadline, f"no mail with the new login\n{consumer.describe()}"
        consumer.run(SEND)
    tell(f"{page}: the new login was used after {time.monotonic() - began:.0f} s")
    assert consumer.refused() == []


def ending_pods(consumer: Consumer) -> list[str]:
    pods = consumer.node.objects("pods", namespace=consumer.world.namespace)
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]


@pytest.mark.parametrize("page", TRIED, ids=str)
def test_needs_the_old_key_no_more(revoked: Consumers, page: Page) -> None:
    """And has told no password to a log."""
    consumer = revoked[str(page)]
    key = consumer.keys[-1]
    before = len(consumer.sent(key))
    consumer.run(SEND)
    wait_for("another mail", lambda: len(consumer.sent(key)) > before, 30, consumer.describe)
    assert consumer.refused() == []
    logs = wait_for("its logs are followed", lambda: consumer.node.logs.files(consumer.world.namespace))
    told = [what for path in logs for what in leaks(path.read_bytes(), consumer.keys)]
    assert not {"password", "secret access key"} & set(told)
