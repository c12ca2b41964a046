"""compose.yaml, the units and the example configurations agree with each other and with the programs they start."""

import configparser
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import shoal_orchestrator.settings
import shoal_worker.settings
from shoal.errors import Unavailable
from shoal.testing import find_nats_server

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
PARSERS: dict[str, Callable[[list[str]], Any]] = {
    "shoal-orchestrator": shoal_orchestrator.settings.parse,
    "shoal-worker": shoal_worker.settings.parse,
}
CONFIGURATIONS = sorted((PACKAGING / "nats").glob("*.conf"))
UNITS = sorted(PACKAGING.glob("*.service"))


def parsed(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the program of a command line makes of its words; its own parser refuses what it does not know."""
    monkeypatch.delenv("NATS_URL", raising=False)
    return PARSERS[Path(argv[0]).name](argv[1:])


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def running(services: dict[str, Any], program: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in services.items() if each["command"][0] == program}


def test_every_command_is_a_program_of_ours_or_nats_server(services: dict[str, Any]) -> None:
    """What containers start is declared in pyproject.toml, or is nats-server."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {each["command"][0] for each in services.values()} == {*PARSERS, "nats-server"}
    assert set(PARSERS) <= set(scripts)


def test_workers_are_distinct_hosts_and_one_is_the_head(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags are known to the worker, host names differ, and exactly the orchestrator's head is an edge."""
    ((_, orchestrator),) = running(services, "shoal-orchestrator").items()
    head = parsed(orchestrator["command"], monkeypatch).head
    workers = running(services, "shoal-worker")
    settings = {name: parsed(each["command"], monkeypatch) for name, each in workers.items()}
    assert {name: each.host for name, each in settings.items()} == {name: name for name in workers}
    assert [each.host for each in settings.values() if each.role == "edge"] == [head]
    assert all(each["privileged"] and "network_mode" not in each for each in workers.values())
    targets = {volume.split(":")[1] for each in workers.values() for volume in each["volumes"]}
    assert str(shoal_worker.settings.default_state({}, root=True)) in targets


def test_there_is_a_server_for_every_replica(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams are kept three times, all servers know each other, and everybody is told of all of them."""
    servers = running(services, "nats-server")
    (orchestrator,) = running(services, "shoal-orchestrator").values()
    assert parsed(orchestrator["command"], monkeypatch).replicas == 3 == len(servers)
    routes = re.findall(r"nats://([\w-]+):6222", (PACKAGING / "nats" / "cluster.conf").read_text())
    assert set(routes) == set(servers)
    assert {each["command"][each["command"].index("--name") + 1] for each in servers.values()} == set(servers)
    for name, each in services.items():
        if name not in servers:
            assert each["environment"]["NATS_URL"] == ",".join(f"nats://{server}:4222" for server in servers)
            assert set(each["depends_on"]) == set(servers)


def test_everything_referred_to_exists(compose: dict[str, Any]) -> None:
    """Dockerfile, what it copies, mounted files and named volumes are there."""
    named = set()
    for each in compose["services"].values():
        for volume in each.get("volumes", ()):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                assert (ROOT / source).is_file()
                assert target in each["command"]
            elif not source.startswith("/"):
                named.add(source)
        if "build" in each:
            assert (ROOT / each["build"]["context"] / each["build"]["dockerfile"]).is_file()
    assert named == set(compose["volumes"])
    copied = re.findall(r"^COPY (.+) \S+$", (PACKAGING / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    assert all((ROOT / source).exists() for line in copied for source in line.split())


def test_the_image_has_what_make_setup_installs() -> None:
    """The Dockerfile installs the same Debian packages as the Makefile."""
    declared = re.search(r"^PACKAGES := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    wanted = set(declared[1].replace("\\", " ").split())
    installed = set((PACKAGING / "Dockerfile").read_text().replace("\\", " ").split())
    assert wanted <= installed


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_servers_take_their_configuration(file: Path, need: Callable[[str, bool], None]) -> None:
    """nats-server finds each example valid, and each writes to disk before it acknowledges."""
    assert re.search(r"^ +sync_interval: always$", file.read_text(), re.MULTILINE)
    try:
        program = find_nats_server()
    except Unavailable:
        need("nats-server", False)
        return
    argv = [program, "--config", str(file), "--name", "x", "-t"]
    done = subprocess.run(argv, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_units_start_a_program_with_flags_that_it_knows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each unit starts the daemon of its name, whose parser takes the words."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(file.read_text())
    argv = shlex.split(unit["Service"]["ExecStart"])
    assert Path(argv[0]).name == file.stem
    assert parsed(argv, monkeypatch).server == "nats://127.0.0.1:4222"
    # guests must outlive their worker
    assert unit["Service"].get("KillMode") == ("process" if file.stem == "shoal-worker" else None)
