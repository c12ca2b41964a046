"""The words of `shoal lab` and `shoal up`."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import UsageError
from shoal_worker.lab.__main__ import main
from shoal_worker.lab.settings import LabSettings, UpSettings, parse


def test_a_number_of_hosts_names_them() -> None:
    """`--hosts 3` means mm1, mm2, mm3, and is the default."""
    assert parse(["lab"]) == parse(["lab", "--hosts", "3"]) == LabSettings(hosts=("mm1", "mm2", "mm3"))


def test_ranges_name_hosts_once() -> None:
    """A range is expanded in its order; a name that occurs twice is one host."""
    settings = parse(["lab", "--simulate", "--hosts", "mm[0-1],host[9-10],host10"])
    assert settings == LabSettings(hosts=("mm0", "mm1", "host9", "host10"), simulate=True)


def test_the_command_is_what_follows_the_dashes() -> None:
    """Options of the command are the command's own."""
    settings = parse(
        ["lab", "--port", "4300", "--state", "s", "--head-worker", "--", "x", "--hosts", "9", "--"]
    )
    assert isinstance(settings, LabSettings)
    assert settings.command == ("x", "--hosts", "9", "--")
    assert settings.port == 4300
    assert settings.head_worker
    assert settings.state == Path.cwd() / "s"


def test_up_keeps_its_state_where_services_do() -> None:
    """Root's state is below /var/lib, a user's below XDG_STATE_HOME or ~/.local/state."""
    assert parse(["up"], environ={}, root=True) == UpSettings(state=Path("/var/lib/shoal/up"))
    user = parse(["up", "--simulate", "--clean"], environ={"XDG_STATE_HOME": "/x"}, root=False)
    assert user == UpSettings(state=Path("/x/shoal/up"), simulate=True, clean=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lab", "--hosts", "0"], "at least one host"),
        (["lab", "--hosts", ""], "at least one host"),
        (["lab", "--hosts", "head,mm1"], "head cannot be a host's name"),
        (["lab", "--hosts", "net"], "net cannot be a host's name"),
        (["lab", "--hosts", "a/b"], "--hosts: "),
        (["lab", "--hosts", "mm[1-"], "unterminated"),
        (["lab", "--hosts", "mm[1-70000]"], "too many"),
        (["lab", "--port", "70000"], "no port 70000"),
        (["lab", "--port", "x"], "--port"),
        (["lab", "--"], "a command is expected"),
        (["lab", "ls"], "unrecognized arguments: ls"),
        (["up", "--", "ls"], "takes no command"),
        (["down"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_words_are_one_line(words: list[str], message: str) -> None:
    """Whatever is wrong is said in one line, as a usage error."""
    with pytest.raises(UsageError) as raised:
        parse(words)
    assert message in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lab", "--bogus"], "shoal lab: unrecognized arguments: --bogus; see `shoal lab --help`\n"),
        (["up", "--port", "x"], "shoal up: argument --port: invalid int value: 'x'; see `shoal up --help`\n"),
        (["lab", "--hosts", "mm["], "shoal lab: --hosts: unterminated '['\n"),
    ],
)
def test_the_program_is_named_once(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error begins with the program that was called, once, and names that program's own help."""
    assert main(words) == 2
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lab", "--simulate", "3"], "how many hosts: `shoal lab --hosts 3`"),
        (
            ["lab", "--hosts", "2", "shoal", "vm", "info"],
            "a command stands after `--`: `shoal lab … -- shoal vm info`",
        ),
    ],
)
def test_what_was_meant_is_told(words: list[str], hint: str) -> None:
    """A number without its option, and a command without `--`, are answered with how they are written."""
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert caught.value.details == (hint,)


def test_options_are_not_abbreviated() -> None:
    """An option that begins like another one is none: a later option must not change what a script means."""
    with pytest.raises(UsageError, match="--host 4"):
        parse(["lab", "--host", "4"])
