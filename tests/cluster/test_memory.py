"""Memory follows the credentials, not the Secrets of the cluster.

FOREIGN=10000 python -m pytest -s tests/cluster/test_memory.py
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from harness import Controller, World, encode
from oracle import Key

FOREIGN = int(os.environ.get("FOREIGN", "2000"))  # of 4 KiB each


def test_secrets_of_others_cost_no_memory(world: World, own_controller: Callable[..., Controller]) -> None:
    controller = own_controller()
    keys = {f"mail-{number}": Key.new() for number in range(10)}
    world.create_many(keys)
    world.wait_all_synced(keys)
    controller.restart()  # a start is compared with a start
    world.settle()
    fresh = measure(controller, "10 credentials")

    def create(number: int) -> None:
        data = {"data": {"value": encode(os.urandom(4096))}}
        world.api.create("Secret", {"metadata": {"name": f"foreign-{number}"}} | data, world.namespace)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(FOREIGN)))
    world.settle()
    live = measure(controller, f"and {FOREIGN} Secrets of others, as they came")
    controller.restart()
    world.settle()
    restarted = measure(controller, f"and {FOREIGN} Secrets of others, from the start")
    world.wait_all_synced(keys)

    # The bounds hold for 10000, too.
    for after in (live, restarted):
        assert after["VmRSS"] - fresh["VmRSS"] < 1024
        assert after["VmHWM"] - fresh["VmHWM"] < 1024


def measure(controller: Controller, when: str) -> dict[str, int]:
    memory = controller.memory()
    print(f"{when}: " + ", ".join(f"{name} {kib / 1024:.1f} MiB" for name, kib in memory.items()))
    return memory
