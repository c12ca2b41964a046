"""The systemd units: what they start is there, their times leave room for what the daemons do, guests outlive them.

systemd's own checker has its say where it is installed. `make setup` does not install it (a container or chroot has no
use for systemd), so that its test is not there at all elsewhere, rather than skipped: what it would find in a line's
form is looked for by the other tests too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from shoal_orchestrator.service import EVENTS_S, HAND_OVER_S
from shoal_worker.service import DRAIN_S
from shoal_worker.settings import default_state

ROOT = Path(__file__).parents[2]
UNITS = {path.stem: path for path in (ROOT / "packaging").glob("*.service")}
#: keys that may stand more than once
_LISTS = {"EnvironmentFile"}
#: what guests cannot live with (see the unit's comment)
_AGAINST_GUESTS = {
    *(
        "DeviceAllow",
        "DevicePolicy",
        "DynamicUser",
        "MemoryDenyWriteExecute",
        "PrivateDevices",
        "PrivateNetwork",
    ),
    *(
        "PrivateTmp",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectKernelTunables",
        "ProtectSystem",
    ),
    *("RestrictNamespaces", "SystemCallFilter", "User"),
}


def parsed(path: Path) -> dict[str, dict[str, str]]:
    """Sections of a unit (systemd.syntax(7)); a line that is none of theirs, or said twice, fails."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if found := re.fullmatch(r"\[(Unit|Service|Install)\]", line):
            assert found[1] not in sections
            section = sections[found[1]] = {}
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert section is not None, line
        assert re.fullmatch(r"[A-Z][A-Za-z]+", key), line
        assert key not in section or key in _LISTS, line
        section[key] = value
    return sections


@pytest.mark.parametrize("name", sorted(UNITS))
def test_a_unit_is_whole(name: str) -> None:
    """Each unit starts a program that the wheel brings, when it says so itself, again whenever it ends."""
    unit = parsed(UNITS[name])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    service = unit["Service"]
    assert Path(service["ExecStart"]).name == name
    assert name in scripts
    assert service["ExecStart"].startswith("/opt/shoal/bin/")
    assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "main", "always")
    assert int(service["WatchdogSec"]) >= 30
    # restarts are never given up
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_guests_outlive_the_worker() -> None:
    """Only the worker itself is killed, after the time that draining takes; nothing closes devices or hides files."""
    service = parsed(UNITS["shoal-worker"])["Service"]
    assert service["KillMode"] == "process"
    assert service["OOMPolicy"] == "continue"
    assert int(service["TimeoutStopSec"]) > 2 * DRAIN_S
    assert not _AGAINST_GUESTS & set(service)
    families = {"AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_UNIX"}
    assert families <= set(service["RestrictAddressFamilies"].split())
    assert f"/var/lib/{service['StateDirectory']}" == str(default_state({}, root=True))


def test_a_standby_sees_the_leader_end() -> None:
    """The orchestrator has no privileges, has time to hand the lead over, and sees the processes of its machine."""
    service = parsed(UNITS["shoal-orchestrator"])["Service"]
    assert service["CapabilityBoundingSet"] == ""
    assert service["DynamicUser"] == "yes"
    assert int(service["TimeoutStopSec"]) > HAND_OVER_S + EVENTS_S
    assert not {"ProtectProc", "ProcSubset", "PrivatePIDs", "PrivateNetwork"} & set(service)


def test_the_user_that_libvirt_looks_up_is_made() -> None:
    """sysusers.d makes the user that packaging/install-packages makes where there is no systemd."""
    assert re.search(
        r"^u libvirt-qemu - ", (ROOT / "packaging/sysusers.d/shoal.conf").read_text(), re.MULTILINE
    )
    assert "useradd --system --user-group" in (ROOT / "packaging/install-packages").read_text()


if shutil.which("systemd-analyze"):

    @pytest.mark.parametrize("name", UNITS)
    def test_systemd_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
        """systemd-analyze verify, with a program that is there in place of ours, has nothing to say of a unit."""
        stub = tmp_path / "stub"
        stub.write_text("#!/bin/sh\n")
        stub.chmod(0o755)
        unit = tmp_path / f"{name}.service"
        unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={stub}", UNITS[name].read_text()))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = [line for line in done.stderr.splitlines() if unit.name in line]
        assert (done.returncode, said) == (0, []), done.stderr
