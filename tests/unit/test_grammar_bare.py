"""Bodies of plain words."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.errors import InvalidRequest
from shoal.grammar import Grammar
from shoal.messages.base import Request
from shoal.messages.catalogue import COMMANDS
from shoal.messages.config import ClearConfig, ConfigureSteps, ConfigureVM, SaveConfig
from shoal.messages.namespaces import CreateNamespace
from shoal.messages.schedule import MovePlanned, Schedule, SetQueueing
from shoal.messages.taps import CreateTap
from shoal.messages.vms import LaunchVMs, ListVMs, StartVMs

GRAMMAR = Grammar(COMMANDS)


@pytest.mark.parametrize(
    ("command", "text", "request_"),
    [
        (StartVMs, "web[1-3]", StartVMs(target="web[1-3]")),
        (StartVMs, "  'web 1' # x", StartVMs(target="web 1")),
        (LaunchVMs, "kvm vm[0-3]", LaunchVMs(names="vm[0-3]")),
        (LaunchVMs, "vm[0-3]", LaunchVMs(names="vm[0-3]")),
        (LaunchVMs, "vm[0-3] saved", LaunchVMs(names="vm[0-3]", config="saved")),
        (LaunchVMs, "kvm kvm", LaunchVMs(names="kvm")),
        (ListVMs, "", ListVMs()),
        (ListVMs, "summary", ListVMs(summary=True)),
        (ConfigureVM, "", ConfigureVM()),
        (ConfigureVM, "memory 512", ConfigureVM(field="memory", values=("512",))),
        (ClearConfig, "tag color", ClearConfig(field="tag", key="color")),
        (SaveConfig, "x", SaveConfig(name="x")),
        (SetQueueing, "true", SetQueueing(enabled=True)),
        (Schedule, "", Schedule()),
        (Schedule, "force", Schedule(force=True)),
        (MovePlanned, "vm[1-2] mm0", MovePlanned(vms="vm[1-2]", host="mm0")),
        (CreateTap, "10 on mm1", CreateTap(vlan="10", host="mm1")),
        (CreateNamespace, "foo", CreateNamespace(name="foo")),
    ],
)
def test_a_bare_argument_is_what_follows_the_name(
    command: type[Request[Any]], text: str, request_: Request[Any]
) -> None:
    """A body of plain words is read as the words after noun and verb; fixed words before the first value may go."""
    assert GRAMMAR.parse_bare(command, text) == request_


@pytest.mark.parametrize(
    ("command", "text"), [(StartVMs, ""), (StartVMs, "a b"), (ListVMs, "bogus"), (SaveConfig, "")]
)
def test_a_bare_argument_that_does_not_fit_says_what_would(command: type[Request[Any]], text: str) -> None:
    """The error names the command and the argument, and the details its patterns."""
    with pytest.raises(InvalidRequest) as caught:
        GRAMMAR.parse_bare(command, text)
    wrong = f"cannot read the argument `{text}`" if text else "an argument is missing"
    assert caught.value.message == f"{command.noun} {command.verb}: {wrong}"
    assert len(caught.value.details) == 1 + len(command.words)


def test_a_command_without_words_takes_no_bare_argument() -> None:
    """What only programs send cannot be spelled: the error says what a body has to be."""
    for text in ("", "memory 128"):
        with pytest.raises(InvalidRequest, match=r"^vm config-steps: expected a map of its fields$"):
            GRAMMAR.parse_bare(ConfigureSteps, text)
