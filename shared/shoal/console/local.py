"""The session's own commands: they are words like all others, but no request is sent for them.

This module refuses to know how they are carried out: see `shoal.console.session`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from shoal.messages.base import Done, Request, Said


class InNamespace(Request[Done], frozen=True, kw_only=True):
    """Run one command in a namespace, creating it if it is new; the active namespace stays what it is.

    Example: namespace red vm info
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "in-namespace"
    words: ClassVar[tuple[str, ...]] = ("namespace <name> (command)",)

    name: str
    command: tuple[str, ...]


class LeaveNamespace(Request[Done], frozen=True, kw_only=True):
    """Make the default namespace the active one again."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "leave-namespace"
    words: ClassVar[tuple[str, ...]] = ("clear namespace",)


class Columns(Request[Done], frozen=True, kw_only=True):
    """Show only these columns of a command's table, in this order; unambiguous prefixes will do.

    Example: .columns name,state vm info
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "columns"
    words: ClassVar[tuple[str, ...]] = (".columns <columns> (command)",)

    columns: str
    command: tuple[str, ...]


class Filter(Request[Done], frozen=True, kw_only=True):
    """Show only the rows of a command's table that match: col=v, col!=v, col~v (contains), col!~v.

    Case does not matter. Filters may be stacked; the one nearest to the command applies first.

    Example: .filter state=running .filter vcpus!=1 vm info
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "filter"
    words: ClassVar[tuple[str, ...]] = (".filter <filter> (command)",)

    filter: str
    command: tuple[str, ...]


class Setting(Request[Said], frozen=True, kw_only=True):
    """A setting of the output: shown, set for the session, or set for one command."""

    noun: ClassVar[str] = "session"

    on: bool | None = None
    command: tuple[str, ...] = ()


class CSV(Setting, frozen=True, kw_only=True):
    """Show tables as comma-separated values.

    Example: .csv true vm info
    """

    verb: ClassVar[str] = "csv"
    words: ClassVar[tuple[str, ...]] = (".csv [on:true,false]", ".csv [on:true,false] (command)")


class JSON(Setting, frozen=True, kw_only=True):
    """Show answers as JSON, in minimega's form: a list of objects with Host, Response, Header and Tabular.

    Example: .json true vm info
    """

    verb: ClassVar[str] = "json"
    words: ClassVar[tuple[str, ...]] = (".json [on:true,false]", ".json [on:true,false] (command)")


class Headers(Setting, frozen=True, kw_only=True):
    """Show the header of tables (true by default).

    Example: .headers false .columns name vm info
    """

    verb: ClassVar[str] = "headers"
    words: ClassVar[tuple[str, ...]] = (".headers [on:true,false]", ".headers [on:true,false] (command)")


class Annotate(Setting, frozen=True, kw_only=True):
    """Show the host that each row is about as the first column, where there is none (false by default).

    Example: .annotate true .columns name vm info
    """

    verb: ClassVar[str] = "annotate"
    words: ClassVar[tuple[str, ...]] = (".annotate [on:true,false]", ".annotate [on:true,false] (command)")


class Sort(Setting, frozen=True, kw_only=True):
    """Sort tables column by column (true by default)."""

    verb: ClassVar[str] = "sort"
    words: ClassVar[tuple[str, ...]] = (".sort [on:true,false]", ".sort [on:true,false] (command)")


class Compress(Setting, frozen=True, kw_only=True):
    """Fold equal answers of several hosts into one (true by default)."""

    verb: ClassVar[str] = "compress"
    words: ClassVar[tuple[str, ...]] = (".compress [on:true,false]", ".compress [on:true,false] (command)")


class Record(Setting, frozen=True, kw_only=True):
    """Keep lines in the history (true by default)."""

    verb: ClassVar[str] = "record"
    words: ClassVar[tuple[str, ...]] = (".record [on:true,false]", ".record [on:true,false] (command)")


class Preprocess(Setting, frozen=True, kw_only=True):
    """Accepted for the sake of minimega's scripts; it has no effect."""

    verb: ClassVar[str] = "preprocess"
    words: ClassVar[tuple[str, ...]] = (
        ".preprocess [on:true,false]",
        ".preprocess [on:true,false] (command)",
    )


class Alias(Request[Said], frozen=True, kw_only=True):
    """List the aliases, or make one: a first word that stands for the words after the `=`.

    Example: .alias running=.filter state=running vm info
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "alias"
    words: ClassVar[tuple[str, ...]] = (".alias [alias...]",)

    alias: tuple[str, ...] = ()


class Unalias(Request[Done], frozen=True, kw_only=True):
    """Forget an alias."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "unalias"
    words: ClassVar[tuple[str, ...]] = (".unalias <alias>",)

    alias: str


class Help(Request[Said], frozen=True, kw_only=True):
    """List the commands, or tell all about one of them.

    Example: help vm launch
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "help"
    words: ClassVar[tuple[str, ...]] = ("help [topic...]",)

    topic: tuple[str, ...] = ()


class Apropos(Request[Said], frozen=True, kw_only=True):
    """List the commands whose spelling or help has a word in it.

    Example: apropos queue
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "apropos"
    words: ClassVar[tuple[str, ...]] = ("apropos <word>",)

    word: str


class History(Request[Said], frozen=True, kw_only=True):
    """Show the lines of this session."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "history"
    words: ClassVar[tuple[str, ...]] = ("history",)


class ClearHistory(Request[Done], frozen=True, kw_only=True):
    """Forget the lines of this session."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "clear-history"
    words: ClassVar[tuple[str, ...]] = ("clear history",)


class ClearAll(Request[Done], frozen=True, kw_only=True):
    """Clear all namespaces with everything in them, the blacklist of VLANs, and the lines of this session.

    Files of the cluster stay. It is `clear namespace all`, `clear vlans all` and `clear history`.
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "clear-all"
    words: ClassVar[tuple[str, ...]] = ("clear all",)


class Echo(Request[Said], frozen=True, kw_only=True):
    """Print the words."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "echo"
    words: ClassVar[tuple[str, ...]] = ("echo [text...]",)

    text: tuple[str, ...] = ()


class Version(Request[Said], frozen=True, kw_only=True):
    """Print the version of Shoal."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "version"
    words: ClassVar[tuple[str, ...]] = ("version",)


class ReadScript(Request[Said], frozen=True, kw_only=True):
    """Run the lines of a file, in this session; `check` only looks for lines that are no commands.

    Every line is checked before the first is run. Lines that fail do not stop it.

    Example: read setup.mm
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "read"
    words: ClassVar[tuple[str, ...]] = ("read <file> [check?]",)

    file: str
    check: bool = False


class Shell(Request[Said], frozen=True, kw_only=True):
    """Run a program where the prompt runs, and print what it prints.

    Example: shell ls /tmp
    """

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "shell"
    words: ClassVar[tuple[str, ...]] = ("shell <program...>",)

    program: tuple[str, ...]


class Leave(Request[Done], frozen=True, kw_only=True):
    """Leave the prompt; in a script, end it here. The cluster goes on."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "leave"
    words: ClassVar[tuple[str, ...]] = ("exit", "quit")


LOCAL_COMMANDS: tuple[type[Request[Any]], ...] = (
    InNamespace,
    LeaveNamespace,
    Columns,
    Filter,
    CSV,
    JSON,
    Headers,
    Annotate,
    Sort,
    Compress,
    Record,
    Preprocess,
    Alias,
    Unalias,
    ReadScript,
    Shell,
    Echo,
    Help,
    Apropos,
    History,
    ClearHistory,
    ClearAll,
    Version,
    Leave,
)
