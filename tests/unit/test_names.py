"""Names: what may be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core import names
from shoal.errors import InvalidRequest

CHECKS = [names.check_namespace, names.check_vm, names.check_host, names.check_bridge, names.check_config]


def refusal(check: Callable[[str], str], name: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check(name)
    assert "\n" not in str(caught.value).replace(name, "")
    return str(caught.value)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["a", "web-1", "A_b.c", "x" * 63, "-", "minimega", "vm-0"])
def test_good_names_come_back_as_they_are(check: Callable[[str], str], name: str) -> None:
    """A name of letters, digits, dashes, underscores and single dots, up to 63 characters, is returned unchanged."""
    assert check(name) == name


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "name", ["", "a b", "a\n", "a*", "a>", ".a", "a..b", "x" * 64, "ü", "a\0", "all", "a/b", "a=b", "²"]
)
def test_bad_names_are_refused(check: Callable[[str], str], name: str) -> None:
    """What could break a subject, a path or a word of the language is no name; nor is a trailing newline overlooked."""
    assert "invalid" in refusal(check, name)


def test_a_vm_is_not_named_like_an_id_or_like_all_vms() -> None:
    """Integers and `all` are refused as names of VMs, in the words that users know."""
    assert refusal(names.check_vm, "0") == "invalid vm name, `0` is an integer"
    assert refusal(names.check_vm, "-7") == "invalid vm name, `-7` is an integer"
    assert refusal(names.check_vm, "all") == "invalid vm name, `all` is a reserved word"
    assert names.check_host("7") == "7"


@given(st.lists(st.text(alphabet="al0-9._*", max_size=6), max_size=5))
def test_the_bulk_check_agrees_with_the_single_one(candidates: list[str]) -> None:
    """`check_vms` refuses a list exactly when `check_vm` refuses one of it."""

    def refused(check: Callable[[Any], Any], value: Any) -> str | None:
        try:
            check(value)
        except InvalidRequest as error:
            return str(error)
        return None

    single = next(filter(None, (refused(names.check_vm, name) for name in candidates)), None)
    assert refused(names.check_vms, candidates) == single


def test_a_name_twice_in_one_launch_is_named() -> None:
    """The first repeated VM is named in the refusal."""
    with pytest.raises(InvalidRequest, match=r"`a2` is specified twice in VMs to launch"):
        names.check_distinct(["a1", "a2", "a3", "a2"])
    names.check_distinct(["a1", "a2"])


@pytest.mark.parametrize("name", ["LAN", "DMZ-1", "a:b", "x" * 63])
def test_aliases_may_be_anything_that_stays_one_word(name: str) -> None:
    """A VLAN's alias is kept as it is, and belongs to the namespace unless it names another one."""
    assert names.check_alias(name) == name
    assert names.split_alias(name, "foo") == ("foo", name)
    assert names.split_alias(f"bar//{name}", "foo") == ("bar", name)


@pytest.mark.parametrize("name", ["", "5", "a,b", "a b", "a//b", "x" * 64, "a\n", "'a'", "a[1]"])
def test_aliases_that_would_be_read_otherwise_are_refused(name: str) -> None:
    """Numbers, separators and spaces are no part of an alias."""
    assert "invalid vlan alias" in refusal(names.check_alias, name)


def test_an_interface_has_fifteen_characters_at_most() -> None:
    """Linux takes no longer names."""
    assert names.check_interface("mega_tap0") == "mega_tap0"
    assert "longer than 15" in refusal(names.check_interface, "x" * 16)
