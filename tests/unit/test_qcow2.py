"""Beginnings of disk images, and sizes as they are written."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.qcow2 import HEAD_BYTES, needs_others, parse_size
from shoal.errors import InvalidRequest


def head(version=3, backing=0, features=0):
    body = struct.pack(">4sIQI", b"QFI\xfb", version, backing, 0).ljust(72, b"\0")
    return (body + struct.pack(">Q", features)).ljust(HEAD_BYTES, b"\0")


def test_images_that_need_others_are_known():
    """A backing file and external data show in the header; an image without them needs nothing."""
    assert needs_others(head(backing=512)) == "a backing file"
    assert needs_others(head(version=2, backing=512)) == "a backing file"
    assert needs_others(head(features=4)) == "another file with its data"
    assert needs_others(head()) == ""
    assert needs_others(head(version=2, features=4)) == ""


@given(st.binary(max_size=200).filter(lambda content: not content.startswith(b"QFI\xfb")))
def test_other_files_need_nothing(content):
    """What is no qcow2 image is never taken for one that needs others."""
    assert needs_others(content) == ""


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2k", 2048), ("3M", 3 << 20), ("4g", 4 << 30), ("64T", 64 << 40)]
)
def test_sizes(text, size):
    """A number of bytes, or of larger units."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "10X", "G", "1 G", "65T", "9" * 500, "٣M"])
def test_bad_sizes(text):
    """Anything else is refused with what is expected."""
    with pytest.raises(InvalidRequest, match="expected a number of bytes"):
        parse_size(text)
