"""Bodies that anybody may send: what is damaged, huge, deep or of another version is refused by name, or read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal import codec
from shoal.errors import InvalidRequest
from shoal.messages.desired import Heartbeat, HeartbeatAck, LaunchRecord
from shoal.messages.vms import StartVMs
from shoal_orchestrator.core.stored_records import record_kind

MIB = 1024 * 1024
BOMBS = {
    "a map of maps": b"\xdf\x00\x0f\xff\xff" + b"\x80" * (MIB - 5),
    "arrays in arrays": b"\x81\xa1a" + b"\x91" * (MIB - 3),
    "maps in maps": b"\x81\xa1a" * ((MIB - 1) // 3),
    "a length that is not there": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "a list of four milliards": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "an extension": b"\x81\xa1a\xc9\x00\x00\xff\xff\x01",
    "JSON in JSON": b'{"a":' * (MIB // 5 - 1),
    "lists in JSON": b'{"a":' + b"[" * (MIB - 5),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_and_is_refused(name: str) -> None:
    """Neither depth nor claimed lengths make the decoder take much more memory than the body has bytes."""
    body = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            codec.decode(body, StartVMs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_what_is_too_long_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command over 64 KiB is not even looked into."""
    monkeypatch.setattr(codec, "_unpack", None)
    with pytest.raises(InvalidRequest, match="at most 65536"):
        codec.decode(b"\x80" * (codec.MAX_COMMAND_BYTES + 1), StartVMs, limit=codec.MAX_COMMAND_BYTES)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_a_typed_error(body: bytes) -> None:
    """Whatever arrives, the decoder raises nothing but InvalidRequest."""
    for kind in (StartVMs, Heartbeat, LaunchRecord):
        assert isinstance(_read(lambda kind=kind: codec.decode(body, kind)), (kind, InvalidRequest))  # type: ignore[misc]
    assert isinstance(_read(lambda: codec.bare_text(body)), (str, InvalidRequest))


def _read(decode: Callable[[], object]) -> object:
    """What was read, or how it was refused."""
    try:
        return decode()
    except InvalidRequest as refusal:
        return refusal


@given(st.sampled_from([StartVMs, HeartbeatAck]), st.dictionaries(st.text(max_size=8), st.integers(0, 9)))
def test_unknown_fields_of_another_version_are_ignored(
    kind: type[msgspec.Struct], more: dict[str, int]
) -> None:
    """A newer program may say more than we know; what we know is read as ever."""
    ours = kind(target="a") if kind is StartVMs else kind(store="s", epoch=3, claimed=True)
    unknown = {name: value for name, value in more.items() if name not in kind.__struct_fields__}
    fields = {**unknown, **msgspec.to_builtins(ours)}
    assert codec.decode(msgpack.packb(fields), kind) == ours
    assert codec.decode(msgspec.json.encode(fields), kind) == ours


def test_unknown_kinds_of_records_are_known_as_such() -> None:
    """A record of a newer version has no type here: it is kept, and told of by its subject."""
    assert record_kind("shoal.state.wormhole.red.a") is None
    assert record_kind("shoal.launch.mm1.red.a") is LaunchRecord


@pytest.mark.parametrize("name", BOMBS)
def test_what_reads_small_messages_quickly_takes_no_bomb_either(name: str) -> None:
    """Nor one that is cut down to the size that it reads: it costs at most a few times its bytes."""
    read = codec.small_reader(Heartbeat)
    for body in (BOMBS[name], BOMBS[name][: codec.MAX_COMMAND_BYTES]):
        tracemalloc.start()
        try:
            with pytest.raises(InvalidRequest):
                read(body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8 * MIB


def test_it_reads_nothing_that_is_longer_than_a_command() -> None:
    """A heartbeat that would be right is refused for its size alone."""
    fields = {"host": "mm1", "incarnation": "i", "session": "s", "version": "9"}
    capacity = {"cpus": 1, "memory_mib": 1}
    body = msgpack.packb({**fields, "capacity": capacity, "more": "x" * codec.MAX_COMMAND_BYTES})
    with pytest.raises(InvalidRequest, match=str(codec.MAX_COMMAND_BYTES)):
        codec.small_reader(Heartbeat)(body)


@given(st.binary(max_size=200))
def test_it_reads_what_the_careful_way_reads(body: bytes) -> None:
    """Random bytes are the same message, or the same refusal."""
    quick, careful = (
        _read(lambda: codec.small_reader(Heartbeat)(body)),
        _read(lambda: codec.decode(body, Heartbeat)),
    )
    assert str(quick) == str(careful)


def test_it_reads_heartbeats_of_other_versions() -> None:
    """In either encoding, and whatever else they say."""
    fields = {
        "host": "mm1",
        "incarnation": "i",
        "session": "s",
        "version": "9",
        "capacity": {"cpus": 4, "memory_mib": 8, "gpus": [1, 2]},
        "warnings": ["hot"],
        "humidity": {"inside": 0.4},
    }
    for body in (msgpack.packb(fields), msgspec.json.encode(fields)):
        beat = codec.small_reader(Heartbeat)(body)
        assert (beat.host, beat.capacity.cpus, beat.warnings) == ("mm1", 4, ("hot",))


def test_it_refuses_what_is_no_small_message() -> None:
    """A heartbeat over 64 KiB is well formed, and is not read."""
    fields: dict[str, object] = {"host": "mm1", "incarnation": "i", "session": "s", "version": "9"}
    fields |= {"capacity": {"cpus": 4, "memory_mib": 8}, "warnings": ["x" * 1024] * 64}
    with pytest.raises(InvalidRequest, match="at most 65536"):
        codec.small_reader(Heartbeat)(msgpack.packb(fields))
