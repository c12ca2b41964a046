"""The forms that all messages share: requests and their replies, failures, and what a reply looks like as text.

This module refuses to know subjects, encodings and the bus.

A command is one class, derived from `Request[ReplyType]`. Its class variables say where it is sent (`noun`,
`verb`, `scope`), how it is spelled at the prompt (`words`), and its docstring is its help. The patterns in
`words` are read by `shoal.grammar`:

=====================  ==================================================================================
`word`                 that word, or an unambiguous prefix of it
`<field>`              one word, the value of `field`
`[field]`              the same, optional
`<field:a,b>`          a choice; `[field:a,b]` the same, optional. Choices may be shortened like words
`<field...>`           one word or more, a tuple; `[field...]` none or more
`[field?]`             the literal word `field`, or nothing: a boolean
`field?`               the literal word `field`, which makes the boolean true
`[on <field>]`         literal words and values that may be left out together
=====================  ==================================================================================
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

import msgspec

Cell = str | int | None
Scope = Literal["ns", "cluster"]
#: an integer in a request; what is none is refused in the peer's words
Integer = Annotated[int, msgspec.Meta(extra={"error": 'strconv.Atoi: parsing "{word}": invalid syntax'})]


class Table(msgspec.Struct, frozen=True):
    """Rows under named columns. `hidden` columns are shown only when `.columns` or `.filter` name them.

    `ordered` keeps the rows as they are; otherwise they are sorted column by column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    hidden: frozenset[str] = frozenset()
    ordered: bool = False


class HostAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What hosts (a range of names) answered alike: a text, or a table."""

    hosts: str
    text: str = ""
    table: Table | None = None


class PerHost(msgspec.Struct, frozen=True):
    """What several hosts answered to the same command."""

    answers: tuple[HostAnswer, ...]


Display = Table | str | PerHost


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as it travels: `kind` is the class's name in `shoal.errors`, `code` as in HTTP.

    `names` are the objects that it is about.
    """

    kind: str
    code: int
    message: str
    details: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a request. `failures` are objects for which it failed while others went well (exit code 3); of more
    than a thousand the last one says of how many more, and has their names (a thousand at most).

    `notes` are for a person's eye (stderr at a prompt). `next` continues a paged list: ask again with `after`.
    """

    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    next: str = ""

    def display(self) -> Display:
        """What the console shows: a table, or text (empty for commands that just did it)."""
        return ""

    def verdict(self) -> int:
        """The exit code of a command without failures: not 0 where the answer itself is bad news."""
        return 0


T_co = TypeVar("T_co", covariant=True)


class Page(Reply, Generic[T_co], frozen=True, kw_only=True, omit_defaults=True):
    """Rows of a list, or as many of them as fit into one answer; `next` tells whether more follow."""

    items: tuple[T_co, ...] = ()


class Done(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """It was done; there is nothing to show."""


class Said(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A text, one value or several lines."""

    text: str

    def display(self) -> Display:
        """Return the text itself."""
        return self.text


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a request has come: `done` of `total` (0: unknown), and of what."""

    done: int = 0
    total: int = 0
    text: str = ""


R_co = TypeVar("R_co", bound=Reply, covariant=True)


class Request(msgspec.Struct, Generic[R_co], frozen=True, kw_only=True, omit_defaults=True):
    """A command: see the module's docstring. `id` is made by the client and kept over its retries; `by` is what
    the client calls itself, for those whom its commands get in the way of.
    """

    noun: ClassVar[str]
    verb: ClassVar[str]
    scope: ClassVar[Scope] = "ns"
    words: ClassVar[tuple[str, ...]] = ()
    reply: ClassVar[type[Reply]] = Done
    #: help that follows the docstring's text, where it is made from a table
    more_help: ClassVar[str] = ""
    #: it only reads: may be repeated freely, needs no id and no stored outcome
    reads: ClassVar[bool] = False
    #: it is carried out while the store is frozen, too
    mends: ClassVar[bool] = False

    id: str = ""
    by: str = ""
