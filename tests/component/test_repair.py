"""`doctor --repair` after the NATS store was replaced: what ran runs on under its records, what was killed stays dead."""

import contextlib
import json
import shutil

import pytest
from tests.waiting import eventually

import shoal
from shoal.core.ranges import expand
from shoal.errors import Refused, ShoalError
from shoal.messages.config import ConfigureVM
from shoal.messages.doctor import RepairCluster
from shoal.messages.hosts import ListMesh
from shoal.messages.taps import CreateTap, ListTaps
from shoal.messages.vlans import AddBridge, ListVLANs
from shoal.testing import cluster
from shoal.testing.cluster import APART

# leases run out and hosts are lost in real time, and a busy machine adds to it
pytestmark = pytest.mark.timeout(400)

NATS = "nats-server"
REPAIR, DO_IT = RepairCluster(), RepairCluster(sure="--yes")


async def put_back(running, store, copy):
    """Stop the server, and start it with an older copy of its store, or with none."""
    running.kill(NATS)
    shutil.rmtree(store)
    if copy is not None:
        shutil.copytree(copy, store)
    running.start(NATS)


async def vms(client, namespace="red"):
    """Each VM: state, host and what it is known by on the network."""
    rows = await client.namespace(namespace).vms()
    return {row.name: (row.state, row.host, row.instance, row.ports) for row in rows}


async def findings(client, word):
    """What doctor says with that word in it; nothing while it does not answer."""
    with contextlib.suppress(ShoalError):
        return [
            finding for finding in (await client.check()).items if word in f"{finding.found} {finding.do}"
        ]
    return []


async def settled(client, wanted, namespace="red"):
    """Wait until the VMs are these."""

    async def look():
        with contextlib.suppress(ShoalError):
            return await vms(client, namespace) == wanted
        return False

    await eventually(look, f"{namespace} has {wanted}")


async def healthy(client):
    """Wait until nothing is wrong any more."""

    async def look():
        with contextlib.suppress(ShoalError):
            return not (await client.check()).items
        return False

    await eventually(look, "nothing is wrong")


def ended(running):
    """The VMs whose guests the workers have ended."""
    lines = [json.loads(line) for line in running.log("workers").splitlines() if '"done": "destroy' in line]
    return {name for line in lines for name in expand(line["vms"])}


async def prepared(client):
    """A namespace with a private bridge, its VMs `a` and `dead` running, and a host tap."""
    red = client.namespace("red")
    await red.create()
    await client.call(AddBridge(bridge="lan"), namespace="red")
    await client.call(ConfigureVM(field="net", values=("lan,LAN",)), namespace="red")
    await red.launch("a,dead")
    await red.start()
    await client.call(CreateTap(vlan="LAN", bridge="lan", tap="t0"), namespace="red")
    return red


async def goes_on(client, red):
    """VMs are launched, started and killed as ever, and a new bridge gets a key that nobody has."""
    await red.launch("c")
    await client.namespace("new").start()
    await red.kill("b1")
    bridges = [(await vms(client, name)).popitem()[1][3][0].vni >> 12 for name in ("red", "new")]
    await client.namespace("third").create()
    await client.call(AddBridge(bridge="x"), namespace="third")
    await client.call(ConfigureVM(field="net", values=("x,Z",)), namespace="third")
    await client.namespace("third").launch("z")
    key = (await vms(client, "third"))["z"][3][0].vni >> 12
    assert len({*bridges, key}) == 3  # no key is given out twice
    assert (await client.call(REPAIR)).items == ()


@pytest.mark.parametrize("leader", ["a new leader", "the leader of then"])
async def test_an_older_copy_is_repaired_from_the_hosts(tmp_path, leader):
    """VMs launched since have their records again, VMs killed since stay dead, and none is touched; the cluster goes on.

    A new leader knows what the copy tells; one that was there all the time knows everything, and its store must, too.
    """
    store, copy = tmp_path / "store", tmp_path / "copy"
    async with cluster("mm[1-2]", store=store) as running, shoal.connect(running.url) as client:
        red = await prepared(client)
        running.kill(NATS)
        shutil.copytree(store, copy)
        running.start(NATS)
        await red.launch("b[1-3]")
        await red.start()
        await red.kill("dead")
        await red.flush()
        await client.namespace("new").create()
        await client.call(AddBridge(bridge="other"), namespace="new")
        await client.call(ConfigureVM(field="net", values=("other,DMZ",)), namespace="new")
        await client.namespace("new").launch("n")
        before, new = await vms(client), await vms(client, "new")
        assert before.keys() == {"a", "b1", "b2", "b3"}
        if leader == "a new leader":
            running.kill("orchestrator")
        await put_back(running, store, copy)
        if leader == "a new leader":
            running.start("orchestrator")

        async def told():
            return await findings(client, "doctor --repair")

        await eventually(told, "doctor says that the store went backwards")
        with pytest.raises(Refused, match=r"went backwards.*shoal doctor"):
            await red.launch("c")
        shown = await client.call(REPAIR)
        steps = {(step.action, step.object) for step in shown.items}
        assert any(about.startswith("store") for _, about in steps)
        if leader == "a new leader":
            assert ("write", "namespace new") in steps
            assert any(action == "remove" and about.startswith("vm red/dead on") for action, about in steps)
        assert shown.command == "doctor --repair --yes"
        with pytest.raises(Refused, match="went backwards"):
            await red.launch("c")  # it was only shown

        done = await client.call(DO_IT)
        assert done.items == shown.items
        assert done.store
        await settled(client, before)
        await settled(client, new, "new")
        await healthy(client)
        assert ended(running) == {"dead"}
        await goes_on(client, red)
        running.kill("orchestrator")
        running.start("orchestrator")
        await healthy(client)  # the next leader, too, finds one store that all obey
        assert (await vms(client))["a"] == before["a"]


async def test_an_empty_store_is_rebuilt_from_the_hosts(tmp_path):
    """VMs, taps, aliases and keys are there again, the hosts obey, and a new launch shares nothing by accident."""
    store = tmp_path / "store"
    async with cluster("mm[1-2]", store=store) as running, shoal.connect(running.url) as client:
        red = await prepared(client)
        await red.kill("dead")
        await red.flush()
        before = await vms(client)
        taps = (await client.call(ListTaps(), namespace="red")).items
        vlans = (await client.call(ListVLANs(), namespace="red")).items
        running.kill("orchestrator")
        await put_back(running, store, None)
        running.start("orchestrator")

        async def told():
            found = await findings(client, "holds itself back")
            return [one.object for one in found] == ["host head,mm[1-2]"]

        await eventually(told, "doctor says that all three hosts belong to another store")
        assert (await client.call(DO_IT)).store
        await settled(client, before)
        assert (await client.call(ListTaps(), namespace="red")).items == taps
        assert (await client.call(ListVLANs(), namespace="red")).items == vlans
        await healthy(client)
        assert ended(running) == {"dead"}
        await red.launch("b")
        await red.start()
        assert (await vms(client))["b"][0] == "RUNNING"


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
async def test_a_damaged_store_is_noticed_and_repaired(tmp_path, harm):
    """The server drops what follows the damage without a word; hosts know better, and all is as it was."""
    store = tmp_path / "store"
    async with cluster("mm[1-2]", store=store) as running, shoal.connect(running.url) as client:
        red = client.namespace("red")
        await red.create()
        await red.launch("a[1-20],dead")
        await red.start()
        await red.kill("dead")
        await red.flush()
        before = await vms(client)
        running.kill("orchestrator")
        running.kill(NATS)
        damage(store, harm)
        running.start(NATS)
        running.start("orchestrator")

        async def told():
            return await findings(client, "went backwards")

        await eventually(told, "doctor says that the store went backwards")
        await client.call(DO_IT)
        await settled(client, before)
        await healthy(client)
        assert ended(running) == {"dead"}
        await red.launch("b")


def damage(store, harm):
    """Cut off the last third of the state's messages, or flip a bit in their middle, as a failing disk does.

    The server's index of them is removed: with it the damage would be found only when a message is read.
    """
    [messages] = store.rglob("SHOAL_STATE/msgs/*.blk")
    content = bytearray(messages.read_bytes())
    at = len(content) * 2 // 3
    if harm == "truncated":
        del content[at:]
    else:
        content[at] ^= 0x40
    messages.write_bytes(content)
    for index in store.rglob("SHOAL_STATE/msgs/index.db"):
        index.unlink()


async def test_a_host_that_cannot_be_asked_has_to_be_named(tmp_path):
    """Without the word nothing is repaired; with it that host's records stay as the store has them."""
    store, copy = tmp_path / "store", tmp_path / "copy"
    async with cluster("mm[1-2]", store=store, apart="mm2") as running, shoal.connect(running.url) as client:
        red = client.namespace("red")
        await red.create()
        await client.call(ConfigureVM(field="schedule", values=("mm2",)), namespace="red")
        await red.launch("a")
        running.kill(NATS)
        shutil.copytree(store, copy)
        running.start(NATS)
        await client.call(ConfigureVM(field="schedule", values=("mm1",)), namespace="red")
        await red.launch("b")
        await red.start("b")
        running.kill(APART)
        await put_back(running, store, copy)

        async def told():
            return await findings(client, "went backwards")

        await eventually(told, "doctor says that the store went backwards")
        with pytest.raises(Refused, match=r"mm2 did not tell.*doctor --repair without mm2"):
            await client.call(DO_IT)
        await client.call(RepairCluster(hosts="mm2", sure="--yes"))
        states = {name: state for name, (state, *_) in (await vms(client)).items()}
        assert states.keys() == {"a", "b"}
        assert states["b"] == "RUNNING"
        mesh = {row.host: row.state for row in (await client.call(ListMesh(which="status"))).items}
        assert mesh["mm1"] == "alive"
