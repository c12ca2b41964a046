"""Where the processes of a lab run, and with which words."""

from __future__ import annotations

from pathlib import Path

from shoal_worker.lab.layout import HEAD, MARK, MAX_HOSTS, Layout, Programs, network_netns, nodes
from shoal_worker.lab.nats_servers import NatsServer

LAYOUT = Layout(lab="ab12cd", state=Path("/s"), programs=Programs(python="py", nats_server="nats-server"))


def test_every_host_has_a_namespace_and_an_address() -> None:
    """The head comes first; names carry the lab's id, addresses count up."""
    assert [(node.name, node.netns, node.address) for node in nodes("ab12cd", ("mm1", "mm2"))] == [
        (HEAD, "shoal-ab12cd-head", "10.213.0.1"),
        ("mm1", "shoal-ab12cd-mm1", "10.213.0.2"),
        ("mm2", "shoal-ab12cd-mm2", "10.213.0.3"),
    ]
    assert network_netns("ab12cd") == "shoal-ab12cd-net"


def test_the_largest_lab_stays_in_its_network() -> None:
    """The last host's address is the last one of 10.213.0.0/16 that a host may have."""
    assert nodes("x", ["h"] * MAX_HOSTS)[-1].address == "10.213.255.254"


def test_a_worker_runs_in_its_hosts_namespace() -> None:
    """Its argv can be run again from anywhere: it enters the namespace first."""
    node = nodes("ab12cd", ("mm1",))[1]
    process = LAYOUT.worker("nats://10.213.0.1:4222", node, "host", "tcg")
    assert process.argv == (
        *("nsenter", "--net=/var/run/netns/shoal-ab12cd-mm1"),
        *(
            "py",
            "-m",
            "shoal_worker",
            "--server",
            "nats://10.213.0.1:4222",
            "--host",
            "mm1",
            "--role",
            "host",
        ),
        *("--state", "/s/mm1", "--underlay", "10.213.0.2", "--accelerator", "tcg"),
    )
    assert process.env == {MARK: "ab12cd"}
    assert process.log == Path("/s/logs/worker-mm1.log")


def test_a_simulation_is_one_process_outside_all_namespaces() -> None:
    """However many hosts there are, they are one argument."""
    process = LAYOUT.simulated_workers(
        "nats://h:1", [f"mm{n}" for n in range(1, 1001)], HEAD, head_worker=True
    )
    assert process.argv == (
        *("py", "-m", "shoal_worker", "--simulate", "--server", "nats://h:1", "--hosts", "mm[1-1000]"),
        *("--head", "head", "--state", "/s/workers", "--head-worker"),
    )


def test_nats_keeps_its_store_in_the_state_directory() -> None:
    """The server can be started again by its argv, on the same port and with the same store."""
    process = LAYOUT.nats(NatsServer(1, "127.0.0.1", 4300))
    assert process.argv == (
        *("nats-server", "--config", "/s/nats/nats.conf", "--addr", "127.0.0.1", "--port", "4300"),
    )
    second = LAYOUT.nats(NatsServer(2, "127.0.0.1", 4301, 6300))
    assert "/s/nats2/nats.conf" in second.argv
    assert (second.name, second.log) == ("nats head 2", Path("/s/logs/nats2-head.log"))


def test_orchestrators_of_a_lab_are_told_apart() -> None:
    """Each has a name in its arguments, a log and a number of its own: it can be killed and found again by that."""
    first, second = (LAYOUT.orchestrator("nats://h:1", HEAD, number=number, replicas=3) for number in (1, 2))
    assert first.argv == (
        *("py", "-m", "shoal_orchestrator", "--server", "nats://h:1", "--head", "head"),
        *("--name", "orchestrator", "--replicas", "3"),
    )
    assert first.name == "orchestrator head"
    assert (second.name, second.log) == ("orchestrator head 2", Path("/s/logs/orchestrator2-head.log"))
    assert second.command != first.command
