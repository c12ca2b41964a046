"""The program's arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shoal.cli import programs
from shoal.cli.options import Options, ReadOptions, parse_options, parse_read
from shoal.errors import UsageError
from shoal.settings.declaring import DEFAULT_SERVER
from shoal.settings.file import ConfigFile


def parse(*arguments: str, **environment: str) -> Options:
    return parse_options(arguments, environment, "minimega")


def test_without_arguments() -> None:
    """Nothing given: the local server, the default namespace, no command."""
    assert parse() == Options(server=DEFAULT_SERVER, namespace="minimega")


def test_words_are_left_alone() -> None:
    """Everything after the first word belongs to the command, dashes too."""
    options = parse("-o", "csv", "vm", "config", "coschedule", "-1", "--namespace", "x")
    assert options.words == ("vm", "config", "coschedule", "-1", "--namespace", "x")
    assert options.output == "csv"
    assert options.namespace == "minimega"


def test_a_double_dash_ends_the_options() -> None:
    """After `--` even a word with dashes is a word."""
    assert parse("--", "--version").words == ("--version",)


def test_the_server_comes_from_the_option_then_the_environment() -> None:
    """`--server`, else NATS_URL, else the local one; empty counts as unset."""
    assert parse("--server", "nats://a", NATS_URL="nats://b").server == "nats://a"
    assert parse("--server=nats://a").server == "nats://a"
    assert parse(NATS_URL="nats://b").server == "nats://b"
    assert parse(NATS_URL="").server == DEFAULT_SERVER


def test_the_namespace_comes_from_the_option_then_the_environment() -> None:
    """`--namespace`, else SHOAL_NAMESPACE, else the default one."""
    assert parse("--namespace", "a", SHOAL_NAMESPACE="b").namespace == "a"
    assert parse(SHOAL_NAMESPACE="b").namespace == "b"


def test_a_variable_that_names_no_namespace_is_named() -> None:
    """SHOAL_NAMESPACE is held to the rules of names too, but not where help is asked for."""
    with pytest.raises(UsageError) as caught:
        parse("vm", "info", SHOAL_NAMESPACE="a b")
    assert caught.value.message.startswith("SHOAL_NAMESPACE: invalid namespace name, `a b` must match")
    assert parse("--help", SHOAL_NAMESPACE="a b").help


def test_the_file_speaks_where_option_and_environment_do_not() -> None:
    """[client] of the configuration file goes after both, and before the defaults; help asks no file."""
    named: list[str] = []

    def find(name: str) -> ConfigFile:
        named.append(name)
        content = {
            "server": "nats://all",
            "client": {"namespace": "red", "output": "csv", "timeout": 5},
            "worker": {"x": 1},
        }
        return ConfigFile(Path("f.toml"), content)

    options = parse_options(["--config", "f.toml"], {}, "minimega", find)
    assert options[:4] == ("nats://all", "red", "csv", 5.0)
    assert options.passed_on == (("SHOAL_CONFIG", "f.toml"),)
    given = ["--server", "nats://b", "-o", "name", "--timeout", "1"]
    options = parse_options(given, {"SHOAL_NAMESPACE": "blue"}, "minimega", find)
    assert options[:4] == ("nats://b", "blue", "names", 1.0)
    assert options.passed_on == (("NATS_URL", "nats://b"),)
    parse_options(["--help"], {}, "minimega", find)
    assert named == ["f.toml", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"client": {"timeout": 0}}, "`timeout` in [client] of f.toml: expected seconds, more than 0"),
        (
            {"client": {"namespace": "a/b"}},
            "`namespace` in [client] of f.toml: invalid namespace name, `a/b`",
        ),
        ({"client": {"output": "xml"}}, "f.toml: `output` in [client]: expected one of table, json"),
        ({"client": {"namespaces": "red"}}, "f.toml: unknown setting `namespaces` in [client]: did you mean"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(content: dict[str, object], message: str) -> None:
    """What is wrong in the file is a UsageError that names key, section and file."""
    with pytest.raises(UsageError) as caught:
        parse_options([], {}, "minimega", lambda _: ConfigFile(Path("f.toml"), content))
    assert caught.value.message.startswith(message)


def test_lines_may_be_repeated() -> None:
    """`-e` may be given more than once."""
    assert parse("-e", "a b", "-e", "c").lines == ("a b", "c")


@pytest.mark.parametrize(
    ("word", "mode"), [("table", "table"), ("json", "objects"), ("csv", "csv"), ("name", "names")]
)
def test_outputs(word: str, mode: str) -> None:
    """Each output that the help names is known."""
    assert parse("-o", word).output == mode
    assert parse(f"--output={word}").output == mode


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "unknown option `--bogus`"),
        (["-x", "vm"], "unknown option `-x`"),
        (["--server"], "the option `--server` needs a value"),
        (["-e"], "the option `-e` needs a value"),
        (["-o", "xml"], "unknown output `xml`: expected one of table, json, csv, name"),
        (["--namespace", "a b", "vm", "info"], "--namespace: invalid namespace name, `a b` must match"),
        (["--namespace=a/b"], "--namespace: invalid namespace name, `a/b` must match"),
        (["--namespace", ".."], "--namespace: invalid namespace name, `..` must not begin with `.`"),
        (["--namespace", "a" * 80], f"--namespace: invalid namespace name, `{'a' * 80}` is longer than 63"),
        (["--namespace", "all"], "--namespace: invalid namespace name, `all` is a reserved word"),
        (["--timeout", "soon"], "invalid timeout `soon`"),
        (["--timeout", "-1"], "invalid timeout `-1`"),
        (["--timeout", "nan"], "invalid timeout `nan`"),
        (["-e", "a", "vm", "info"], "give either"),
        (["vm", "start", "\udcff"], "the argument '\\udcff' is not text"),
    ],
)
def test_wrong_options(arguments: list[str], message: str) -> None:
    """An option that is unknown or lacks its value is a UsageError that says so."""
    with pytest.raises(UsageError) as caught:
        parse(*arguments)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["f.mm"], ReadOptions("f.mm")),
        (["--echo", "f.mm"], ReadOptions("f.mm", echo=True)),
        (["f.mm", "--strict", "--echo"], ReadOptions("f.mm", echo=True, strict=True)),
        (["--check", "f.mm"], ReadOptions("f.mm", check=True)),
        (["f.mm", "check"], ReadOptions("f.mm", check=True)),
        (["-"], ReadOptions("-")),
        (["check"], ReadOptions("check")),
    ],
)
def test_arguments_of_read(arguments: list[str], options: ReadOptions) -> None:
    """`read` takes one file and flags in any place."""
    assert parse_read(arguments) == options


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--bogus", "a"], ["a", "check", "b"]])
def test_wrong_arguments_of_read(arguments: list[str]) -> None:
    """Anything else after `read` is a UsageError."""
    with pytest.raises(UsageError):
        parse_read(arguments)


def test_options_of_the_program_after_read() -> None:
    """An option of the program that stands after `read` is told where it belongs."""
    with pytest.raises(
        UsageError, match=r"^the option `--server` stands before the command: `shoal --server"
    ):
        parse_read(["f.mm", "--server", "nats://x"])


def test_programs_become_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program verb is this Python running a module, with the rest of the words as they are."""
    monkeypatch.setattr(programs, "_installed", lambda _: True)
    python = sys.executable
    assert programs.command_line(["up", "--clean"]) == [python, "-m", "shoal_worker.lab", "up", "--clean"]
    assert programs.command_line(["lab", "--hosts", "3", "--", "ls", "a b"])[2:] == [
        *("shoal_worker.lab", "lab", "--hosts", "3", "--", "ls", "a b")
    ]
    assert programs.command_line(["guest", "build"])[2:] == ["shoal_worker.guest", "build"]
    assert programs.command_line(["worker"])[2:] == ["shoal_worker"]
    assert programs.command_line(["orchestrator"])[2:] == ["shoal_orchestrator"]
    assert programs.command_line(["plan", "-"])[2:] == ["shoal_orchestrator.offline", "-"]


def test_a_program_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the module is missing the error says what to install."""
    monkeypatch.setattr(programs, "PROGRAMS", {"worker": ("shoal_no_such_package",)})
    with pytest.raises(UsageError, match=r"shoal worker.*shoal_no_such_package.*pip install"):
        programs.command_line(["worker"])
