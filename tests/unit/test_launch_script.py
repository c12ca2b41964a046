"""The script that launches saved VMs again: read back, it gives the configuration that was saved."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.core.vmconfig_fields import set_field
from shoal.grammar.lexer import split
from shoal.messages.desired import LaunchRecord, Port
from shoal_orchestrator.core.launch_script import SavedVM, launch_script, restored
from shoal_orchestrator.core.records import BridgeRecord, NamespaceRecord

NAMESPACE = NamespaceRecord(name="exp", bridges={"lan": BridgeRecord(key=3)})
WORDS = st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=12)


def port(mac, vlan=101):
    return Port(bridge="lan", vlan=vlan, segment="s", tap="t", mac=mac, driver="e1000")


def record(name, config=None, ports=()):
    return LaunchRecord(
        namespace="exp",
        name=name,
        id=0,
        instance=name,
        revision=3,
        power="running",
        host="mm1",
        incarnation="i",
        uuid="u",
        config=config or VMConfig(),
        ports=ports,
    )


def saved(vm, *, running=True):
    disks = tuple(f"d/{vm.name}.hdd{number}" for number, _ in enumerate(vm.config.disks))
    return SavedVM(vm, running, f"d/{vm.name}.state", disks)


def configs_of(script):
    """The configuration of each VM that the script launches, as the language reads it."""
    found, config = {}, VMConfig()
    for words in map(split, script.splitlines()):
        if words == ["clear", "vm", "config"]:
            config = VMConfig()
        elif words[:2] == ["vm", "config"]:
            config = set_field(config, words[2], words[3:])
        elif words[:3] == ["vm", "launch", "kvm"]:
            found[words[3]] = config
    return found


@given(st.lists(WORDS, max_size=3), st.dictionaries(WORDS, WORDS, max_size=3), st.integers(1, 64))
def test_the_script_gives_the_configuration_back(append, tags, vcpus):
    """Whatever words users have put into a configuration, the script sets them again."""
    config = VMConfig(
        vcpus=vcpus,
        append=tuple(append),
        tags=tags,
        schedule="mm1",
        coschedule=2,
        disks=(DiskSpec("base.qcow2", driver="virtio"),),
        networks=(NetSpec(vlan="LAN", bridge="lan"),),
    )
    vm = record("a", config, (port("00:16:3e:00:00:01"),))
    found = configs_of(launch_script(NAMESPACE, [saved(vm)]))["a"]
    assert found == restored(vm, "d/a.state", ["d/a.hdd0"])
    assert (found.schedule, found.coschedule) == ("mm1", 2)
    assert found.networks[0].mac == "00:16:3e:00:00:01"


def lines_of(*vms, namespace=NAMESPACE):
    return launch_script(namespace, vms).splitlines()


def test_what_ran_is_started_and_what_waited_is_not():
    """All are queued and placed together; only those that ran are started, and queueing is as it was."""
    lines = lines_of(saved(record("a1")), saved(record("a2")), saved(record("b"), running=False))
    assert lines[1:4] == ["namespace exp", "ns bridge lan vxlan", "ns queueing true"]
    assert lines[-3:] == ["ns schedule", "ns queueing false", "vm start a[1-2]"]
    waiting = lines_of(saved(record("b"), running=False), namespace=replace(NAMESPACE, queueing=True))
    assert waiting[-2:] == ["ns schedule", "ns queueing true"]


def test_constraints_that_can_be_kept_are_kept():
    """A colocation with a VM that is saved too stays; one with another VM is told of and left out."""
    config = VMConfig(colocate="a")
    both = lines_of(saved(record("a")), saved(record("b", config)))
    assert "vm config colocate a" in both
    alone = lines_of(saved(record("b", config)))
    assert "vm config colocate a" not in alone
    assert "# it was colocated with a, which was not saved" in alone


def test_unplugged_interfaces_are_unplugged_again():
    """An interface that was in no VLAN is in none again."""
    config = VMConfig(networks=(NetSpec(vlan="LAN"), NetSpec(vlan="DMZ")))
    ports = (port("00:16:3e:00:00:01"), port("00:16:3e:00:00:02", vlan=0))
    assert "vm net disconnect a 1" in lines_of(saved(record("a", config, ports)))


def test_disks_of_the_cluster_are_never_written_to():
    """A VM that wrote to its disk itself goes on with an overlay, and the script says so."""
    config = VMConfig(disks=(DiskSpec("/d.img"),), snapshot=False)
    lines = lines_of(saved(record("a", config)))
    assert not any(line.startswith("vm config snapshot") for line in lines)
    assert any("thrown away" in line for line in lines)
