"""The language of patterns."""

from __future__ import annotations

import pytest

from shoal.grammar.patterns import Literal, Maybe, Nested, Value, parse_pattern


def test_each_form_of_element() -> None:
    """Every form in the table of `shoal.messages.base` is read as what it says."""
    pattern = parse_pattern(
        "vm tag <target> <how:a,b> [key] [what:c,d] <rest...> [more...] [force?] [on <host>]"
    )
    assert pattern.elements == (
        Literal("vm"),
        Literal("tag"),
        Value("target"),
        Value("how", choices=("a", "b")),
        Maybe((Value("key"),)),
        Maybe((Value("what", choices=("c", "d")),)),
        Value("rest", many=True),
        Maybe((Value("more", many=True),)),
        Maybe((Literal("force", field="force"),)),
        Maybe((Literal("on"), Value("host"))),
    )


def test_optional_parts_nest() -> None:
    """An optional part may hold another one."""
    assert parse_pattern("vm save [<vm> [file]]").elements[2] == Maybe((Value("vm"), Maybe((Value("file"),))))


def test_dashes_in_words_are_underscores_in_fields() -> None:
    """A flag's word may have a dash, its field has an underscore."""
    assert parse_pattern("ns schedule [dry-run?]").elements[2] == Maybe(
        (Literal("dry-run", field="dry_run"),)
    )


def test_nested_command() -> None:
    """`(command)` stands for another command."""
    assert parse_pattern("namespace <name> (command)").elements[2] == Nested()


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("vm launch <kind:kvm> <names> [config]", "vm launch kvm <names> [config]"),
        ("ns load <policy:a,b> [relative?]", "ns load <a,b> [relative]"),
        ("tap create <vlan> [on <host>]", "tap create <vlan> [on <host>]"),
        ("echo [text...]", "echo [text]..."),
        (".csv [on:true,false] (command)", ".csv [true,false] (command)"),
    ],
)
def test_syntax_is_for_people(text: str, syntax: str) -> None:
    """What people are shown has no field names for choices and no marks for flags."""
    assert parse_pattern(text).syntax == syntax


@pytest.mark.parametrize("text", ["", "vm [name", "vm name]", "vm <>", "vm <Name>", "vm ( x"])
def test_mistakes_are_found_when_the_class_is_read(text: str) -> None:
    """A pattern that is not well formed raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        parse_pattern(text)


def test_leading_words() -> None:
    """`literals` end at the first value; `fixed` words also include choices of one word."""
    pattern = parse_pattern("vm launch <kind:kvm> <names>")
    assert pattern.literals == ("vm", "launch")
    assert pattern.fixed == ("vm", "launch", "kvm")
