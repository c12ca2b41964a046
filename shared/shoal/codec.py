"""Bytes to messages and back: MessagePack and JSON, with hard limits before anything is decoded.

This module refuses to know what the messages mean and where they come from. A body tells by its first byte what
it is: 0x80-0x8f, 0xde, 0xdf begin a MessagePack map, `{` begins JSON, anything else is a bare argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgpack
import msgspec

from shoal.errors import InvalidRequest, Refused, ShoalError, error_class
from shoal.messages.base import Failure

Encoding = Literal["msgpack", "json", "bare"]
T = TypeVar("T")

#: bodies of commands that anybody may send
MAX_COMMAND_BYTES = 64 * 1024
#: bodies of records and replies between programs of ours
MAX_BODY_BYTES = 1024 * 1024
#: bodies of answers: the server's limit of 1 MiB is for a message with its headers
MAX_ANSWER_BYTES = MAX_BODY_BYTES - 4096
#: the headers that mark an answer as an error, as NATS' micro services have them (ADR-32)
ERROR_HEADER = "Nats-Service-Error"
ERROR_CODE_HEADER = "Nats-Service-Error-Code"
#: the header that tells progress from an answer, and an answer that says nothing of the request: its leader's term has
#: ended, and the next leader knows what became of it
STATUS_HEADER = "Shoal-Status"
PROGRESS = "progress"
ASK_AGAIN = "ask-again"
_MAX_ITEMS = 20_000
_ENCODER = msgspec.msgpack.Encoder()
_JSON_ENCODER = msgspec.json.Encoder()


def encoding_of(body: bytes) -> Encoding:
    """What a body is, by its first byte. Arrays are refused: InvalidRequest."""
    first = body[:1]
    if not first:
        return "bare"
    if first == b"{":
        return "json"
    byte = first[0]
    if 0x80 <= byte <= 0x8F or byte in (0xDE, 0xDF):
        return "msgpack"
    if first == b"[" or 0x90 <= byte <= 0x9F or byte in (0xDC, 0xDD):
        raise InvalidRequest("cannot read the request: its body is an array; send a map, or plain words")
    return "bare"


def encode(message: msgspec.Struct, encoding: Encoding = "msgpack") -> bytes:
    """A message as bytes; whoever sent bare words gets JSON."""
    return _ENCODER.encode(message) if encoding == "msgpack" else _JSON_ENCODER.encode(message)


def fitting(body: bytes) -> bytes:
    """The body of an answer, which has to fit into one message. Refused when it does not."""
    if len(body) > MAX_ANSWER_BYTES:
        raise Refused(
            f"the answer has {len(body)} bytes, and at most {MAX_ANSWER_BYTES} can be sent: ask for less at once"
        )
    return body


def _unpack(body: bytes) -> Any:
    try:
        return msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            max_str_len=len(body),
            max_bin_len=len(body),
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise InvalidRequest(f"cannot read a MessagePack body of {len(body)} bytes: it is damaged") from error


def decode(body: bytes, kind: type[T], *, limit: int = MAX_BODY_BYTES) -> T:
    """A message of the given type from MessagePack or JSON.

    Raises InvalidRequest when the body is over `limit` bytes, is no map, or does not fit the type; unknown
    fields are ignored.
    """
    if len(body) > limit:
        raise InvalidRequest(f"the body has {len(body)} bytes; at most {limit} are read")
    encoding = encoding_of(body)
    if encoding == "bare":
        raise InvalidRequest("the body is no map: send JSON ({…}) or a MessagePack map")
    try:
        raw = _unpack(body) if encoding == "msgpack" else msgspec.json.decode(body)
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the body does not fit {kind.__name__}: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"cannot read a JSON body of {len(body)} bytes: it is damaged") from error


def small_reader(kind: type[T]) -> Callable[[bytes], T]:
    """`decode` for messages of one type that come by the thousand and have at most 64 KiB: five times as fast.

    Straight into the type, whose fields bound what is made of so few bytes. What does not fit is read once more by
    `decode`, which says why.
    """
    straight = msgspec.msgpack.Decoder(kind).decode

    def read(body: bytes) -> T:
        if len(body) <= MAX_COMMAND_BYTES:
            try:
                return straight(body)
            except (msgspec.MsgspecError, RecursionError):
                pass
        return decode(body, kind, limit=MAX_COMMAND_BYTES)

    return read


def bare_text(body: bytes) -> str:
    """The words of a bare body. Raises InvalidRequest when it is too long or is not UTF-8 text."""
    if len(body) > MAX_COMMAND_BYTES:
        raise InvalidRequest(f"the body has {len(body)} bytes; at most {MAX_COMMAND_BYTES} are read")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the body is neither a map (JSON or MessagePack) nor text in UTF-8") from None


def failure_of(error: ShoalError, *names: str, message: str = "") -> Failure:
    """An error as it travels: about `names` where it names nothing itself, and with another message if one is given."""
    return Failure(
        kind=error.kind,
        code=error.code,
        message=message or error.message,
        details=error.details,
        names=error.names or names,
    )


def error_headers(error: ShoalError) -> dict[str, str]:
    """An error once more, for who does not read bodies: a header is one line."""
    return {ERROR_HEADER: " ".join(error.message.split()), ERROR_CODE_HEADER: str(error.code)}


def error_of(failure: Failure) -> ShoalError:
    """The error that a failure tells of."""
    return error_class(failure.kind)(failure.message, details=failure.details, names=failure.names)
