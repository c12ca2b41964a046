"""What shapes the answers of a session: modifiers, settings, aliases, and what the history keeps."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.console.modifiers import Settings
from shoal.console.session import Session, console_grammar
from shoal.messages.base import Display, Reply, Request, Table
from shoal.messages.catalogue import COMMANDS
from shoal.messages.namespaces import ListNamespaces, NamespaceRow, Namespaces

GRAMMAR = console_grammar(COMMANDS)


class VMTable(Reply, frozen=True, kw_only=True):
    """Three VMs: the columns that the tests look at."""

    def display(self) -> Display:
        """Show them."""
        return Table(
            columns=("id", "name", "state", "uuid", "host", "namespace"),
            rows=(
                (0, "foo2", "RUNNING", "u2", "mm2", "red"),
                (1, "foo1", "BUILDING", "u1", "mm1", "red"),
                (2, "bar", "RUNNING", "u0", "mm1", "red"),
            ),
            hidden=frozenset({"namespace", "host"}),
        )


async def call(namespace: str, request: Request[Any]) -> Reply:
    """A cluster that has two namespaces and always the same VMs."""
    del namespace
    if isinstance(request, ListNamespaces):
        return Namespaces(items=tuple(NamespaceRow(namespace=name, vms=0) for name in ("minimega", "red")))
    return VMTable()


@pytest.fixture
def session() -> Session:
    return Session(call, GRAMMAR)


async def texts(session: Session, *lines: str) -> list[str]:
    """What each line printed; none of them may fail."""
    printed = []
    for line in lines:
        outcome = await session.run(line)
        assert outcome.errors == (), line
        printed.append(outcome.text)
    return printed


async def last(session: Session, *lines: str) -> str:
    return (await texts(session, *lines))[-1]


async def error(session: Session, line: str) -> str:
    (message,) = (await session.run(line)).errors
    return message


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (".filter name=bar .column name vm info", "name\nbar"),
        (".filter name~foo .columns name vm info", "name\nfoo1\nfoo2"),
        (".columns name .filter state=running vm info", "name\nbar\nfoo2"),
        (".filter name=zebra vm info", ""),
        (".columns id,name vm info", "id   | name\n0    | foo2\n1    | foo1\n2    | bar"),
        (".headers false .columns name vm info", "bar\nfoo1\nfoo2"),
        (".csv true .columns name,state vm info", "name,state\nbar,RUNNING\nfoo1,BUILDING\nfoo2,RUNNING"),
        (".csv true .headers false .columns name vm info", "bar\nfoo1\nfoo2"),
        (".csv .columns name vm info", "name\nbar\nfoo1\nfoo2"),
        (".sort false .columns name vm info", "name\nfoo2\nfoo1\nbar"),
        (".annotate true .columns name vm info", "host | name\nmm1  | bar\nmm1  | foo1\nmm2  | foo2"),
        (".annotate true .columns host,name vm info", "host | name\nmm1  | bar\nmm1  | foo1\nmm2  | foo2"),
        (".compress false .record true .preprocess false .columns name vm info", "name\nbar\nfoo1\nfoo2"),
        (".filter host=mm2 .columns name vm info", "name\nfoo2"),
        (".columns name echo hello", "hello"),
        (".filter a=b echo hello", "hello"),
    ],
)
async def test_modifiers(session: Session, line: str, text: str) -> None:
    """Modifiers stand before a command and nest; answers that are no tables pass through them."""
    assert await last(session, line) == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (".columns nam,zebra vm info", "no such column `zebra`"),
        (".columns u,x vm info", "no such column `x`"),
        (".columns n vm info", None),
        (".filter name~foo .columns state vm info", "no such column `name`"),
        (".columns zebra .filter zebra=1 vm info", "no such column `zebra`"),
    ],
)
async def test_modifiers_that_do_not_fit(session: Session, line: str, message: str | None) -> None:
    """A column that is not there is an error, and the table is not printed."""
    if message is None:
        assert (await last(session, line)).startswith("name\n")
    else:
        outcome = await session.run(line)
        assert outcome.errors == (message,)
        assert outcome.text == ""
        assert outcome.exit_code == 1


async def test_the_outer_modifier_applies_last(session: Session) -> None:
    """Of two contradicting settings on one line the outer one counts."""
    assert (
        await last(session, ".headers true .headers false .columns name vm info") == "name\nbar\nfoo1\nfoo2"
    )
    assert (
        await last(session, ".csv false .csv true .columns id,name .filter id=0 vm info")
        == "id   | name\n0    | foo2"
    )


async def test_settings_last_for_the_session(session: Session) -> None:
    """`.headers false` alone holds until it is changed; a setting without a value is shown."""
    lines = [
        ".headers",
        ".headers false",
        ".headers",
        ".columns name vm info",
        ".headers true",
        ".columns name vm info",
    ]
    printed = await texts(session, *lines)
    assert printed == ["true", "", "false", "bar\nfoo1\nfoo2", "", "name\nbar\nfoo1\nfoo2"]


async def test_a_setting_for_one_command_does_not_last(session: Session) -> None:
    """`.csv true (command)` leaves the session as it was."""
    await texts(session, ".csv true vm info")
    assert session.settings == Settings()


async def test_csv_and_json_are_one_setting(session: Session) -> None:
    """JSON switches CSV off, and is minimega's form."""
    printed = await texts(session, ".csv true", ".json true", ".columns name .filter id=2 vm info", "echo hi")
    assert not session.settings.get("csv")
    assert (
        printed[2]
        == '[{"Host":"","Response":"","Header":["name"],"Tabular":[["bar"]],"Error":"","Data":null}]'
    )
    assert '"Response":"hi"' in printed[3]


async def test_aliases(session: Session) -> None:
    """An alias stands for the beginning of a line; it is listed, replaced and forgotten."""
    printed = await texts(
        session,
        ".alias",
        ".alias vmr=.column name .filter state=running vm info",
        ".alias",
        "vmr",
        ".unalias vmr",
        ".alias",
    )
    assert printed[0] == ""
    assert printed[2] == "alias | expansion\nvmr   | .column name .filter state=running vm info"
    assert printed[3] == "name\nbar\nfoo2"
    assert printed[5] == ""
    assert await error(session, "vmr") == "invalid command: `vmr`"
    assert await error(session, ".unalias vmr") == "no such alias: `vmr`; `.alias` lists them"


async def test_an_alias_keeps_its_quotes(session: Session) -> None:
    """Words of an alias that were quoted stay words, and what follows the alias is added."""
    assert await last(session, ".alias e=echo 'a  b'", "e c") == "a  b c"
    assert await last(session, "echo e") == "e"


@pytest.mark.parametrize("line", [".alias x", ".alias =x", ".alias x y=z"])
async def test_what_is_no_alias(session: Session, line: str) -> None:
    """An alias without name or `=` is an error in minimega's words."""
    assert await error(session, line) == "expected alias of format `alias=expansion`"


async def test_history_is_minimegas(session: Session) -> None:
    """`.record` decides what the history keeps (minimega's own test of it)."""
    printed = await texts(
        session,
        ".record false echo hello, nobody",
        ".record true echo hello, world",
        ".record false",
        "echo hello, off the record",
        ".record true",
        "echo hello again, world",
        "history",
        "clear history",
        "history",
    )
    assert printed[:2] == ["hello, nobody", "hello, world"]
    assert printed[6] == ".record true echo hello, world\necho hello again, world"
    assert printed[8] == ""


async def test_annotated_text() -> None:
    """With `.annotate` a text says where it comes from, if the session knows."""
    session = Session(call, GRAMMAR, host="mm0")
    assert await last(session, ".annotate true echo hi") == "mm0: hi"
    assert await last(session, ".annotate true .columns namespace namespace") == (
        "host | namespace\nmm0  | minimega\nmm0  | red"
    )
