"""Bridge keys and VNIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Refused
from shoal_orchestrator.core.keys import LAST_KEY, allocate_key, split_vni, vni


@given(st.sets(st.integers(1, 20)), st.sets(st.integers(1, 20)))
def test_the_lowest_free_key_is_given(taken: set[int], draining: set[int]) -> None:
    """A key is neither taken nor draining, and every lower one is; released again it is given again."""
    key = allocate_key(taken, draining)
    assert key not in taken | draining
    assert set(range(1, key)) <= taken | draining
    assert allocate_key(taken | {key}, draining) != key
    assert allocate_key(taken, draining) == key


def test_keys_begin_where_the_cluster_says_and_end() -> None:
    """The first key is a setting; when all are taken or draining it is said."""
    assert allocate_key([], first=100) == 100
    assert allocate_key([], first=0) == 1
    assert allocate_key(range(1, LAST_KEY)) == LAST_KEY
    with pytest.raises(Refused, match="out of bridge keys"):
        allocate_key(range(2, LAST_KEY + 1), [1])


@given(st.integers(0, LAST_KEY), st.integers(1, 4094))
def test_a_vni_says_key_and_vlan(key: int, vlan: int) -> None:
    """Key and VLAN can be read from a VNI, which fits into 24 bits."""
    assert split_vni(vni(key, vlan)) == (key, vlan)
    assert 0 < vni(key, vlan) < 2**24


@pytest.mark.parametrize(("key", "vlan"), [(-1, 1), (4096, 1), (1, 0), (1, 4096)])
def test_what_is_no_vni_is_a_mistake(key: int, vlan: int) -> None:
    """Numbers out of range would reach into another key."""
    with pytest.raises(ValueError, match="no VNI"):
        vni(key, vlan)
