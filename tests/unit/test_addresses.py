"""Addresses that tunnels end at: one spelling for each, and what is none is refused."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.addresses import check_underlay
from shoal.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("FD00::1", "fd00::1"),
        ("fd00:0:0:0:0:0:0:1", "fd00::1"),
        ("::1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_has_one_spelling(text: str, found: str) -> None:
    """However an address is written, it is told as the kernel prints it."""
    assert check_underlay(text) == found


@given(st.ip_addresses(v=6))
def test_what_is_taken_is_what_the_kernel_prints(address: object) -> None:
    """No address is taken whose text a round trip through its bytes would change."""
    try:
        found = check_underlay(str(address))
    except InvalidRequest:
        return
    family = socket.AF_INET6 if ":" in found else socket.AF_INET
    assert socket.inet_ntop(family, socket.inet_pton(family, found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "host.example", "10.0.0.1/24", "10.0.0", "010.0.0.1", " 10.0.0.1"),
        *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0", "::10.0.0.1"),
    ],
)
def test_what_is_no_address_of_a_host_is_refused(text: str) -> None:
    """Names, networks, groups, zones and the address of nobody cannot end a tunnel."""
    with pytest.raises(InvalidRequest) as refused:
        check_underlay(text)
    assert "\n" not in refused.value.message
