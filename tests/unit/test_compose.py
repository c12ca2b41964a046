"""compose.yaml, which no engine runs here: it parses, names files that exist, and flags that the daemons know."""

from pathlib import Path

import yaml

from shoal_orchestrator import settings as orchestrator_settings
from shoal_worker import settings as worker_settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def commands(program):
    """The command lines of one of our programs, by service."""
    services = COMPOSE["services"].items()
    return {name: s["command"][1:] for name, s in services if s["command"][0] == program}


def test_commands_are_what_the_daemons_take():
    """Every flag of every service is one that its daemon parses; two orchestrators are the same, one worker is the edge."""
    one, other = map(orchestrator_settings.parse, commands("shoal-orchestrator").values())
    assert one == other
    assert (one.replicas, one.head) == (3, "head")
    workers = {name: worker_settings.parse(words) for name, words in commands("shoal-worker").items()}
    assert {name: worker.host for name, worker in workers.items()} == {name: name for name in workers}
    assert [name for name, worker in workers.items() if worker.role == "edge"] == ["head"]


def test_files_exist_and_servers_are_three():
    """The Dockerfile and the servers' configuration are in the repository; everybody knows all three servers."""
    services = COMPOSE["services"]
    servers = [name for name in services if name.startswith("nats")]
    assert len(servers) == 3
    routes = (ROOT / "packaging/nats/cluster.conf").read_text()
    assert all(f"//{server}:" in routes for server in servers)
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            if ":" in volume:
                assert (ROOT / volume.split(":")[0]).is_file()
        if name not in servers:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert all(f"//{server}:" in service["environment"]["NATS_URL"] for server in servers)
