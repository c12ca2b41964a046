"""`shoal completion bash|zsh|fish`: what makes a shell complete the words of `shoal`, made from the grammar.

This module refuses to know a shell's state: the scripts hand over the words that stand before the cursor. First words
and options are in the scripts; for what follows they run `shoal completion words`, which asks the cluster too, with a
short deadline.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from shoal.cli.completion_scripts import SCRIPTS
from shoal.cli.connection import Connection
from shoal.cli.known import KnownValues
from shoal.cli.options import PLAIN_OPTIONS, PROGRAM, VALUED_OPTIONS, Options
from shoal.cli.printing import Printer
from shoal.cli.programs import PROGRAMS, command_line
from shoal.console.session import console_grammar
from shoal.errors import ShoalError, UsageError
from shoal.messages.catalogue import COMMANDS

HELP = """\
shoal completion bash|zsh|fish: prints a script that makes the shell complete the words of shoal

  bash    shoal completion bash > /usr/share/bash-completion/completions/shoal
          or in ~/.bashrc: eval "$(shoal completion bash)"
  zsh     shoal completion zsh > /usr/share/zsh/vendor-completions/_shoal
          or in ~/.zshrc, after compinit: eval "$(shoal completion zsh)"
  fish    shoal completion fish > ~/.config/fish/completions/shoal.fish

Names of namespaces, VMs and hosts are asked for at the cluster (NATS_URL), within a second."""

_MODULES: tuple[str, ...] = ("top", "completion")
_READ_FLAGS = ("--check", "--echo", "--strict")
_TOP_FLAGS = ("--help", "--interval", "--once")
#: what a program may take to tell its flags
_HELP_S = 5.0
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def first_words() -> list[str]:
    """Every word that a command, or a program, begins with."""
    grammar = console_grammar(COMMANDS)
    return sorted({*grammar.complete([], "", lambda _: ()), *PROGRAMS, *_MODULES})


def script(shell: str) -> str:
    """The script for a shell, with a newline at its end. Raises UsageError for one that there is none for."""
    if shell not in SCRIPTS:
        raise UsageError(f"no completion for `{shell}`: expected one of {', '.join(SCRIPTS)}")
    values: Mapping[str, Sequence[str]] = {
        "first": first_words(),
        "options": sorted({*PLAIN_OPTIONS, *VALUED_OPTIONS}),
        "outputs": next(setting.choices for setting in PROGRAM.settings if setting.name == "output"),
        "programs": sorted({*PROGRAMS, "read"}),
    }
    text = SCRIPTS[shell]
    for name, words in values.items():
        text = text.replace(f"@{name}@", " ".join(words))
    # fish separates what a case stands for by spaces, the others by bars
    return text.replace("@valued@", (" " if shell == "fish" else "|").join(VALUED_OPTIONS))


def write_scripts(folder: Path) -> None:
    """Write the scripts under the names that packages of the shells give them."""
    for shell, name in (("bash", "shoal"), ("zsh", "_shoal"), ("fish", "shoal.fish")):
        (folder / name).write_text(script(shell), encoding="utf-8")


def run_completion(options: Options, printer: Printer) -> int:
    """Carry out `shoal completion …`; returns the exit code. Raises UsageError."""
    words = options.words[1:]
    if words[:1] in (("-h",), ("--help",)):
        printer.line(HELP)
    elif words[:2] == ("words", "--"):
        for word in asyncio.run(_candidates(options, words[2:])):
            printer.line(word)
    elif len(words) == 1:
        printer.line(script(words[0]).rstrip("\n"))
    else:
        raise UsageError("expected a shell: shoal completion bash|zsh|fish")
    return 0


async def _candidates(options: Options, words: Sequence[str]) -> list[str]:
    """What the last of `words` may become; nothing where nothing is known. Never raises for what was typed."""
    *before, partial = words or ("",)
    first = before[0] if before else ""
    if not before:
        return [word for word in first_words() if word.startswith(partial)]
    if first in PROGRAMS or first in _MODULES:
        return [word for word in _of_program(before) if word.startswith(partial)]
    if first == "read" and partial.startswith("-"):
        return [flag for flag in _READ_FLAGS if flag.startswith(partial)]
    async with Connection(options.server, timeout_s=None, stderr=sys.stderr) as connection:
        known = KnownValues(connection.ask, console_grammar(COMMANDS))
        return await known.words(before, partial, options.namespace)


def _of_program(before: Sequence[str]) -> list[str]:
    """Flags and words of a program, as its help tells them."""
    match before:
        case ["completion"]:
            return sorted(SCRIPTS)
        case ["completion", *_]:
            return []
        case ["top", *_]:
            return list(_TOP_FLAGS)
        case ["guest"]:
            return ["build"]
        case [_, *rest] if "--" in rest:
            # a command of the user's own
            return []
        case _:
            return sorted(set(_FLAG.findall(_help_of(before[0]))))


def _help_of(program: str) -> str:
    try:
        return subprocess.run(
            [*command_line([program]), "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_HELP_S,
            check=False,
        ).stdout
    except (ShoalError, OSError, subprocess.TimeoutExpired):
        return ""
