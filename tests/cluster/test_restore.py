"""The cluster is set back in time: row 46."""

from collections.abc import Callable
from pathlib import Path

from harness import REGION, Cluster, Controller, World, data_of
from oracle import Key, plain, target_data


def test_etcd_restored_from_a_backup(
    spare_cluster: Cluster, spare_world: World, own_controller: Callable[..., Controller], tmp_path: Path
) -> None:
    """46 | etcd restored from a backup | follows the restored source | noticed on reconnecting: everything is
    listed again, what came after the backup is forgotten"""
    world, backup = spare_world, tmp_path / "etcd"
    keys = {"kept": Key.new(), "pending": Key.new()}
    world.create_many(keys)
    controller = own_controller(of=spare_cluster)
    world.wait_all_synced(keys)
    world.settle()

    # The backup holds a rotation that the operator sees only after it was made.
    assert controller.stop() == 0
    rotated = {"pending": Key.new()}
    world.rotate_many(rotated)
    spare_cluster.backup(backup)
    controller.start()
    world.wait_all_synced(keys | rotated, seconds=60)

    # These never were.
    world.rotate_many({"kept": Key.new()})
    world.create_many({"later": Key.new()})
    world.wait_synced("later")
    world.settle()
    log, pid, mark = controller.log_size(), controller.pid, spare_cluster.now()
    spare_cluster.restore(backup)

    keys |= rotated
    world.wait_all_synced(keys, seconds=60)

    def listed() -> set[str]:
        calls = spare_cluster.calls(mark)
        return {call.resource for call in calls if (call.verb, call.code) == ("list", 200)}

    world.wait_for("everything is listed", lambda: listed() == {"secrets", "sessmtpcredentials"}, 30)
    for name in keys:
        world.wait_synced(name)
    assert world.api.get("SesSmtpCredential", "later", world.namespace) is None
    # Whichever list came first may have made it look for the other half.
    assert [call for call in world.calls(mark, "later") if call.code != 404] == []
    assert controller.complaints(log, about="later") == []
    assert controller.metrics().find("ses_smtp_credential_ready", name="later") == []
    assert controller.running and controller.pid == pid

    # Versions are smaller now than those of before; what happens next is seen all the same.
    new = Key.new()
    world.write_source(plain(new, region=REGION), "kept-iam")
    assert data_of(world.wait_synced("kept")[1]) == target_data(new, REGION)
