"""Saved states and the head of libvirt's own form, written and read back."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.saved_machine import SavedMachine
from shoal_worker.core.saved_state import libvirt_head, read_state_head, state_head

MACHINE = SavedMachine(
    memory_mib=80, board="pc-i440fx-7.2", layout={"video/0": {"type": "pci", "slot": "0x02"}}
)


@given(st.binary(max_size=200))
def test_a_state_gives_back_its_machine_and_its_stream(stream):
    """What was written before QEMU's stream is read back, whatever the stream is."""
    state = state_head(MACHINE) + stream
    machine, start = read_state_head(state)
    assert machine == MACHINE
    assert state[start:] == stream


@given(st.binary(max_size=200).filter(lambda content: not content.startswith(b"SHOAL-VM-STATE")))
def test_other_files_are_no_states(content):
    """Any other content is refused in one line."""
    with pytest.raises(ValueError, match="no saved state") as caught:
        read_state_head(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (state_head(MACHINE)[:-1], "ends early"),
        (b"SHOAL-VM-STATE 1\n{}\n", "not known"),
        (b"SHOAL-VM-STATE 1\n[\n", "not known"),
    ],
)
def test_damaged_heads_are_refused(content, told):
    """A head that ends early or says nothing is told apart from what is no state."""
    with pytest.raises(ValueError, match=told):
        read_state_head(content)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=300))
def test_libvirts_head(xml):
    """The header is libvirt's of version 2, uncompressed and paused, and the XML follows with its final zero."""
    head = libvirt_head(xml)
    magic, *numbers = struct.unpack_from("=16s19I", head)
    body = head[struct.calcsize("=16s19I") :]
    assert magic == b"LibvirtQemudSave"
    assert numbers == [2, len(body), 0, 0, 0, *([0] * 14)]
    assert body == xml.encode() + b"\0"
