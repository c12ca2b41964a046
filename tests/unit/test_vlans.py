"""VLAN numbers: lowest free, ranges, blacklist, sharing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Conflict, InvalidRequest, NotFound, Refused, ShoalError
from shoal_orchestrator.core import vlans as core
from shoal_orchestrator.core.vlans import NamespaceVLANs, VLANs

EMPTY = VLANs({name: NamespaceVLANs() for name in ("minimega", "foo", "bar")})


def use(state: VLANs, namespace: str, *texts: str) -> tuple[VLANs, list[int]]:
    numbers = []
    for text in texts:
        found = core.resolve(state, namespace, text)
        state = found.vlans
        numbers.append(found.vlan)
    return state, numbers


def test_aliases_get_the_lowest_free_numbers_and_keep_them() -> None:
    """The pool begins at 101; an alias has one number, and namespaces do not share theirs by accident."""
    state, numbers = use(EMPTY, "foo", "A", "B", "A")
    assert numbers == [101, 102, 101]
    state, numbers = use(state, "bar", "A")
    assert numbers == [103]
    assert use(core.clear(state, "foo"), "bar", "B")[1] == [101]


def test_a_number_used_directly_is_kept_from_aliases() -> None:
    """With 101 used, alias A becomes 102; a number that is an alias's already is not blacklisted."""
    state, numbers = use(EMPTY, "foo", "101", "A", "102")
    assert numbers == [101, 102, 102]
    assert state.blacklist == {101}


def test_another_namespaces_alias_has_its_number() -> None:
    """`other//LAN` is the other's alias, made there if it is new; unknown namespaces are refused."""
    state, numbers = use(EMPTY, "foo", "LAN", "bar//LAN", "foo//LAN")
    assert numbers == [101, 102, 101]
    assert state.namespaces["bar"].aliases == {"LAN": 102}
    with pytest.raises(NotFound, match="namespace not found: `nope`"):
        core.resolve(state, "foo", "nope//LAN")


@pytest.mark.parametrize("text", ["0", "4095", "-1", "99999999999"])
def test_numbers_out_of_range_are_refused(text: str) -> None:
    """1 to 4094 are VLANs of guests."""
    with pytest.raises(InvalidRequest, match="invalid VLAN"):
        core.resolve(EMPTY, "foo", text)


def test_a_range_is_reused_and_kept_from_the_pool() -> None:
    """Inside its range a namespace counts its own numbers only; the pool skips every range."""
    state = core.set_range(core.set_range(EMPTY, "foo", "101", "103"), "bar", "101", "103")
    state, numbers = use(state, "foo", "A", "B")
    assert numbers == [101, 102]
    state, numbers = use(state, "bar", "A")
    assert numbers == [101]
    state, numbers = use(state, "minimega", "A")
    assert numbers == [103]
    with pytest.raises(Refused, match="out of VLANs: every one from 101 to 102"):
        core.resolve(state, "foo", "C")


def test_the_default_namespaces_range_is_the_pool() -> None:
    """As in the peer, a range of the default namespace is where all others take from."""
    state = core.set_range(EMPTY, "minimega", "4090", "4096")
    state, numbers = use(state, "foo", *"ABCDE")
    assert numbers == [4090, 4091, 4092, 4093, 4094]
    assert core.next_free(state, "bar") is None


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ("x", "5", "expected integer values for min/max"),
        ("10", "10", "expected min > max"),
        ("10", "5", "expected min > max"),
        ("0", "5", "invalid VLAN range"),
        ("10", "5000", "invalid VLAN range"),
        (
            "4095",
            "4096",
            "expected min from 1 to 4094 and max, which is the first one not in the range, up to 4096",
        ),
    ],
)
def test_bad_ranges_are_refused(low: str, high: str, message: str) -> None:
    """A range has integers, in order, that are VLANs."""
    with pytest.raises(InvalidRequest, match=message):
        core.set_range(EMPTY, "foo", low, high)


def test_numbers_are_given_to_aliases_once() -> None:
    """`vlans add` refuses an alias and a number that are in use; its own range is a namespace's own affair."""
    state = core.add_alias(EMPTY, "foo", "A", "200")
    for namespace, alias, number, message in [
        ("foo", "A", "201", "alias already in use"),
        ("foo", "B", "200", "vlan already in use"),
        ("bar", "B", "200", "vlan already in use"),
    ]:
        with pytest.raises(Conflict, match=message):
            core.add_alias(state, namespace, alias, number)
    with pytest.raises(InvalidRequest, match="expected integer VLAN"):
        core.add_alias(state, "foo", "B", "x")
    own = core.set_range(state, "bar", "200", "300")
    assert core.add_alias(own, "bar", "B", "200").namespaces["bar"].explicit == {"B"}
    with pytest.raises(Conflict, match="vlan already in use"):
        core.add_alias(core.add_to_blacklist(own, "200"), "bar", "B", "200")


def test_the_blacklist_holds_everywhere() -> None:
    """A blacklisted number is given to no alias, in the pool or in a range."""
    state = core.add_to_blacklist(core.set_range(EMPTY, "foo", "10", "20"), "10")
    assert use(core.add_to_blacklist(state, "101"), "foo", "A")[1] == [11]
    assert use(core.add_to_blacklist(state, "101"), "bar", "A")[1] == [102]
    with pytest.raises(InvalidRequest, match="expected integer VLAN"):
        core.add_to_blacklist(state, "x")


def test_clearing_forgets_by_prefix_or_all() -> None:
    """A prefix forgets those aliases, none the range too, and `all` everything of everybody."""
    state = core.add_alias(core.set_range(EMPTY, "foo", "10", "20"), "foo", "LAN-1", "15")
    state = use(state, "foo", "LAN-2", "DMZ", "300")[0]
    kept = core.clear(state, "foo", "LAN")
    assert kept.namespaces["foo"] == NamespaceVLANs({"DMZ": 11}, (10, 20))
    assert core.clear(state, "foo").namespaces["foo"] == NamespaceVLANs()
    assert core.clear_all(state) == EMPTY


@pytest.mark.parametrize(
    ("own", "default", "text"), [(None, True, "101-4096"), (None, False, ""), ((10, 20), False, "10-20")]
)
def test_how_ranges_are_shown(own: tuple[int, int] | None, default: bool, text: str) -> None:
    """The default namespace shows the pool, others their range or nothing."""
    assert core.describe_range(own, default=default) == text


def test_sharing_by_accident_is_refused_on_shared_bridges() -> None:
    """Two namespaces whose aliases were allocated one number do not meet; what shares on purpose does."""
    state = core.set_range(core.set_range(EMPTY, "foo", "101", "110"), "bar", "101", "110")
    state = use(use(state, "foo", "LAN")[0], "bar", "NET")[0]
    with pytest.raises(Conflict, match="vlan 101 of `bar//NET` is `foo//LAN` on this shared bridge already"):
        core.check_sharing(state, "bar", "NET", [("bar", "NET"), ("foo", "LAN")])
    core.check_sharing(state, "foo", "LAN", [("foo", "LAN"), ("foo", "")])
    core.check_sharing(state, "", "", [("foo", "LAN")])
    given = core.add_alias(state, "bar", "GIVEN", "105")
    core.check_sharing(given, "bar", "GIVEN", [("foo", "LAN")])
    core.check_sharing(given, "foo", "LAN", [("bar", "GIVEN")])


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["minimega", "foo", "bar"]),
        st.sampled_from(
            ["A", "B", "C", "101", "103", "foo//A", "range 101 104", "range 103 106", "add D 102", "clear"]
        ),
    )
)


@given(COMMANDS)
def test_no_alias_ever_gets_a_number_that_was_taken(commands: list[tuple[str, str]]) -> None:
    """After any commands, aliases of one namespace differ, and a new number was free where it was looked for."""
    state = EMPTY
    for namespace, command in commands:
        before = state
        words = command.split()
        try:
            if words[0] == "range":
                state = core.set_range(state, namespace, words[1], words[2])
            elif words[0] == "add":
                state = core.add_alias(state, namespace, words[1], words[2])
            elif words[0] == "clear":
                state = core.clear(state, namespace)
            else:
                found = core.resolve(state, namespace, command)
                state = found.vlans
                fresh = found.alias and found.alias not in before.namespaces[found.owner].aliases
                if fresh:
                    assert found.vlan not in before.blacklist
                    if not before.namespaces[found.owner].range or found.owner == "minimega":
                        assert all(
                            found.vlan not in own.aliases.values() for own in before.namespaces.values()
                        )
        except ShoalError:
            assert state == before
        for own in state.namespaces.values():
            assert len(set(own.aliases.values())) == len(own.aliases)
            assert own.explicit <= set(own.aliases)
