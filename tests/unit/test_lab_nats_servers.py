"""Ports, names and routes of a lab's NATS servers."""

from __future__ import annotations

from pathlib import Path

from shoal_worker.lab.nats_servers import NatsServer, beside, config, inside, url_of


def test_one_server_is_no_cluster() -> None:
    """Alone it listens on the usual port, and its configuration names no routes."""
    (server,) = servers = inside("10.213.0.1", 1)
    assert url_of(servers) == "nats://10.213.0.1:4222"
    text = config(server, servers, Path("/s/nats"))
    assert 'store_dir: "/s/nats/store"' in text
    assert "cluster" not in text


def test_every_server_of_a_cluster_knows_the_routes_to_all() -> None:
    """Each has ports and a name of its own; clients are told of all of them."""
    servers = inside("10.213.0.1", 3)
    assert url_of(servers) == "nats://10.213.0.1:4222,nats://10.213.0.1:4223,nats://10.213.0.1:4224"
    for server in servers:
        text = config(server, servers, Path("/s"))
        assert f'server_name: "nats{server.number}"' in text
        assert f'listen: "10.213.0.1:{6221 + server.number}"' in text
        assert text.count("nats://10.213.0.1:622") == 3


def test_beside_other_programs_only_free_ports_are_taken() -> None:
    """The first server has the port that was asked for, all else what the machine has free."""
    free = iter(range(50_000, 50_100))
    servers = beside("127.0.0.1", 4300, 3, lambda: next(free))
    assert servers == (
        NatsServer(1, "127.0.0.1", 4300, 50_002),
        NatsServer(2, "127.0.0.1", 50_000, 50_003),
        NatsServer(3, "127.0.0.1", 50_001, 50_004),
    )
    assert beside("127.0.0.1", 4300, 1, lambda: next(free)) == (NatsServer(1, "127.0.0.1", 4300),)
