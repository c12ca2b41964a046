"""The worker's command line, and what it makes of the environment."""

from pathlib import Path

import pytest

from shoal.core.load import Capacity, Quota
from shoal_worker.settings import default_state, parse


def test_defaults_come_from_the_environment() -> None:
    """The server is NATS_URL's, else the local one; flags win."""
    assert parse([], environ={}).server == "nats://127.0.0.1:4222"
    assert parse([], environ={"NATS_URL": "nats://a:1"}).server == "nats://a:1"
    assert parse(["--server", "nats://b:2"], environ={"NATS_URL": "nats://a:1"}).server_address == ("b", 2)


def test_simulated_hosts_are_a_range_and_the_head_is_apart() -> None:
    """`--hosts` is a range; the head is an edge unless it is to take guests."""
    found = parse(["--simulate", "--hosts", "mm[1-3]", "--head", "h0"], environ={})
    assert (found.hosts, found.head, found.head_worker) == (("mm1", "mm2", "mm3"), "h0", False)
    assert parse(["--simulate", "--host", "one"], environ={}).hosts == ("one",)


def test_overcommit_ratios_become_a_quota() -> None:
    """Ratios are of what the host has; the environment speaks where no flag does, and nothing said is no limit."""
    capacity = Capacity(cpus=4, memory_mib=1001)
    assert parse([], environ={}).quota(capacity) == Quota()
    said = {"SHOAL_CPU_OVERCOMMIT": "1.5", "SHOAL_MAX_VMS": "3"}
    assert parse([], environ=said).quota(capacity) == Quota(vcpus=6, vms=3)
    found = parse(["--memory-overcommit", "0.5", "--max-vms", "0"], environ=said).quota(capacity)
    assert found == Quota(vcpus=6, memory_mib=500, vms=0)


@pytest.mark.parametrize(
    "words",
    [
        ["--hosts", "mm[1-3]"],
        ["--simulate", "--hosts", "mm[3-1]"],
        ["--host", "a b"],
        ["--role", "king"],
        ["--creations", "-1"],
        ["--cpu-overcommit", "-1"],
        ["--memory-overcommit", "nan"],
        ["--max-vms", "-2"],
        ["--max-vms", "many"],
        ["--underlay", "host.example"],
        ["--underlay", "10.0.0.1/24"],
    ],
)
def test_nonsense_is_refused_with_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense leaves with exit code 2 and a message."""
    with pytest.raises(SystemExit) as left:
        parse(words, environ={})
    assert left.value.code == 2
    assert "shoal-worker: error:" in capsys.readouterr().err


def test_the_underlay_is_told_as_the_kernel_prints_it() -> None:
    """However the address is written, it is the one that the kernel's own is compared with; none stays none."""
    assert parse(["--underlay", "FD00:0::1"], environ={}).underlay == "fd00::1"
    assert parse(["--underlay", "10.0.0.1"], environ={}).underlay == "10.0.0.1"
    assert parse([], environ={}).underlay == ""


def test_state_directory_follows_user_and_environment() -> None:
    """Root's is below /var/lib; XDG_STATE_HOME counts only if it is absolute."""
    assert default_state({}, root=True) == Path("/var/lib/shoal/worker")
    assert default_state({"XDG_STATE_HOME": "/x"}, root=False) == Path("/x/shoal/worker")
    assert default_state({"XDG_STATE_HOME": "x"}, root=False) == Path.home() / ".local/state/shoal/worker"


def test_what_others_may_do_here_is_off_unless_said(tmp_path: Path) -> None:
    """Programs are not run unless a flag or the environment allows it; the files directory can be set either way."""
    assert not parse([], environ={}).allow_shell
    assert not parse([], environ={"SHOAL_ALLOW_SHELL": "0"}).allow_shell
    assert parse(["--allow-shell"], environ={}).allow_shell
    assert parse([], environ={"SHOAL_ALLOW_SHELL": "1"}).allow_shell
    assert parse([], environ={}).files == Path("/var/lib/shoal/files")
    assert parse(["--simulate"], environ={}).files is None
    assert parse(["--simulate", "--files", str(tmp_path)], environ={}).files == tmp_path
    assert parse([], environ={"SHOAL_FILES": str(tmp_path)}).files == tmp_path
