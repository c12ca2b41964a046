"""`shoal completion`: scripts that are current, that bash runs, and words for what stands before the cursor."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import shoal.client
from shoal.cli import completion
from shoal.cli.completion import first_words, write_scripts
from shoal.cli.main import main
from shoal.cli.programs import PROGRAMS
from shoal.errors import Unavailable
from shoal.messages.base import Reply, Request
from shoal.messages.namespaces import ListNamespaces, NamespaceRow, Namespaces

FOLDER = Path(__file__).parents[2] / "packaging" / "completions"


def test_the_files_are_not_stale(tmp_path: Path) -> None:
    """packaging/completions is what the grammar says now: `make docs` writes it anew."""
    write_scripts(tmp_path)
    for file in tmp_path.iterdir():
        assert (FOLDER / file.name).read_text() == file.read_text(), file.name


def test_first_words_are_commands_and_programs() -> None:
    """Whatever a call can begin with is among them."""
    assert {"vm", "ns", "namespace", ".columns", "read", "help", "top", "completion", *PROGRAMS} <= set(
        first_words()
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("shoal vl", ["vlans"]),
        ("shoal --name", ["--namespace"]),
        ("shoal --output ", ["table", "json", "csv", "name"]),
        ("shoal -o j", ["json"]),
        ("shoal --namespace red -o csv vl", ["vlans"]),
        ("shoal --server=nats://a:1 vl", ["vlans"]),
        ("shoal -- vl", ["vlans"]),
        ("shoal --timeout ", []),
    ],
)
def test_bash_completes_options_and_first_words_by_itself(line: str, expected: list[str]) -> None:
    """The script, run by bash as readline runs it, knows these without starting anything."""
    driver = f"""
        source {FOLDER / "shoal"}
        complete -p shoal >&2
        COMP_LINE=$1 COMP_POINT=${{#1}}
        _shoal no-such-program
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", driver, "bash", line], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "complete -F _shoal shoal\n"
    assert done.stdout.split() == expected


def test_bash_asks_for_the_rest(tmp_path: Path) -> None:
    """Words after the first go to `shoal completion words`, behind the options as they were given."""
    asked = tmp_path / "shoal"
    asked.write_text('#!/bin/sh\nprintf "%s|" "$@" >&2\necho web1\necho web2\n')
    asked.chmod(0o755)
    driver = (
        f"source {FOLDER / 'shoal'}; COMP_LINE=$1 COMP_POINT=${{#1}}; _shoal {asked}; echo ${{COMPREPLY[@]}}"
    )
    # the script hides what the program says: here it is what we want
    driver = driver.replace("source ", "eval \"$(sed 's,2>/dev/null,,' ").replace(
        "shoal; COMP", 'shoal)"; COMP'
    )
    line = "shoal --namespace red vm start w"
    done = subprocess.run(
        ["bash", "--norc", "-c", driver, "bash", line], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "--namespace|red|completion|words|--|vm|start|w|"
    assert done.stdout == "web1 web2\n"


class OneNamespace:
    """Stands for the client of a cluster that has a namespace called red."""

    async def call(self, request: Request[Any], **how: Any) -> Reply:
        assert how["timeout_s"] <= 1.0
        assert isinstance(request, ListNamespaces)
        return Namespaces(items=(NamespaceRow(namespace="red", vms=0, active=True),))


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Ask for words as the scripts do."""

    @asynccontextmanager
    async def connect(server: str, *, name: str = "") -> AsyncIterator[OneNamespace]:
        del name
        if server == "nats://away":
            raise Unavailable("no NATS server")
        yield OneNamespace()

    monkeypatch.setattr(shoal.client, "connect", connect)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setenv("SHOAL_CONFIG", "/dev/null")
    monkeypatch.delenv("NATS_URL", raising=False)

    def ask(*typed: str, options: tuple[str, ...] = ()) -> list[str]:
        assert main([*options, "completion", "words", "--", *typed]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return str(out).split("\n")[:-1]

    return ask


def test_words_of_the_grammar_and_of_the_cluster(words: Any) -> None:
    """Known words of a command, then names that the cluster knows; nothing of it where there is no cluster."""
    assert words("vm", "st") == ["start", "stop"]
    assert words("namespace", "") == ["red"]
    assert words("namespace", "", options=("--server", "nats://away")) == []
    assert words("vl") == ["vlans"]
    assert words("no", "such", "") == []
    assert words("read", "--") == ["--check", "--echo", "--strict"]


def test_words_of_programs(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's flags are those that its own help tells of; after `--` the words are the user's own."""
    told = "usage: x [--state DIR]\n  --[no-]x\n  -h, --help\n  --state DIR  where; see non-flag and a--b\n"
    monkeypatch.setattr(completion, "_help_of", lambda program: told if program == "lab" else "")
    assert words("lab", "--") == ["--help", "--state"]
    assert words("lab", "--", "l") == []
    assert words("guest", "") == ["build"]
    assert words("completion", "") == ["bash", "fish", "zsh"]
    assert words("top", "--o") == ["--once"]


def test_a_program_tells_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of a real program is read: it has the flags that it has."""
    monkeypatch.setattr(completion, "_HELP_S", 60)  # a busy machine may take longer than a person would wait
    assert {"--max-vms", "--simulate", "--config"} <= set(completion._of_program(["worker"]))


def test_what_is_no_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which shells there are; --help says where the scripts go."""
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err == "E: no completion for `tcsh`: expected one of bash, zsh, fish\n"
    assert main(["completion"]) == 2
    assert main(["completion", "--help"]) == 0
    assert "/usr/share/bash-completion/completions/shoal" in capsys.readouterr().out
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == (FOLDER / "shoal").read_text()
