"""The pages under docs/ and beside them say what the code says."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import shoal
from shoal import codec, subjects
from shoal.console.session import console_grammar
from shoal.grammar import Grammar, split
from shoal.messages.catalogue import COMMANDS
from shoal.messages.events import EVENTS, QueueFlushed

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROGRAMS = [page for page in PAGES if "```python" in page.read_text()]
GRAMMAR, CONSOLE = Grammar(COMMANDS), console_grammar(COMMANDS)
PATTERNS = {subjects.command_pattern(c.scope, c.noun, c.verb): c for c in COMMANDS}


def requests() -> Iterator[tuple[str, str]]:
    """Every `nats req SUBJECT BODY` of the pages."""
    for page in PAGES:
        for line in page.read_text().splitlines():
            if line.startswith("    nats req "):
                words = shlex.split(line)
                yield words[2], words[3]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file or folder."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_subject_has_its_row() -> None:
    """The table of subjects in architecture.md has exactly what subjects.py spells."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    spelled = {
        subjects.command("ns", "<noun>", "<verb>", "<ns>"),
        subjects.command("cluster", "<noun>", "<verb>", ""),
        subjects.CONSOLE,
        subjects.CLAIM,
        subjects.heartbeat("<host>"),
        subjects.report("<host>"),
        subjects.host_request("<host>", "inventory"),
        subjects.host_request("<host>", "<verb>"),
        subjects.launch("<host>", "<ns>", "<vm>"),
        subjects.tap("<host>", "<ns>", "<tap>"),
        subjects.tunnel(0).replace("0", "<vni>"),
        subjects.stored("shoal.<rest>"),
        subjects.CLUSTER,
        subjects.namespace_record("<ns>"),
        subjects.config_record("<ns>", "<name>"),
        subjects.file_record("<name>"),
        subjects.queue_record("<ns>", 0).replace("0", "<entry>"),
        subjects.plan_record("<ns>", "<plan>", 0).replace(".0", ".<chunk>"),
        subjects.host_record("<host>"),
        subjects.request_record(0).replace("0", "<slot>"),
        subjects.FENCE,
        subjects.LEASE,
        subjects.event("<ns>", "<noun>", "<what>", "<name>"),
    }
    assert set(re.findall(r"^\| `(shoal\.[^`]+)` \|", text, re.MULTILINE)) == spelled


@pytest.mark.parametrize(("subject", "body"), sorted(set(requests())))
def test_requests_of_the_stock_tool_are_understood(subject: str, body: str) -> None:
    """Each request in the pages has the subject of a command and a body that it reads, or is a line of the console.

    What is not understood raises.
    """
    if subject == subjects.CONSOLE:
        CONSOLE.request(CONSOLE.match(split(body), line=body))
        return
    scope, *rest = subject.split(".")[1:]
    if scope == "host":
        assert subject == subjects.host_request(rest[0], "inventory")
        return
    command = PATTERNS[subjects.command_pattern(scope, *rest[-2:])]
    if body == "[1]":
        # shown as what is refused
        return
    if codec.encoding_of(body.encode()) == "json":
        codec.decode(body.encode(), command)
    else:
        GRAMMAR.parse_bare(command, body)


def test_every_event_is_described() -> None:
    """events.md names each event, its subject, and outside its generated table whose state it tells."""
    text = (ROOT / "docs" / "events.md").read_text()
    by_hand = re.sub(r"<!-- events: begin -->.*<!-- events: end -->", "", text, flags=re.DOTALL)
    for event in EVENTS:
        assert f"`{event.__name__}` | `shoal.event." in text
        assert f".{event.noun}.{event.what}.<name>` |" in text
        assert f"`{event.__name__}`" in by_hand or event is QueueFlushed


def test_every_test_that_holds_a_promise_is_there() -> None:
    """The tests that events.md names exist."""
    text = (ROOT / "docs" / "events.md").read_text()
    tests = "".join(page.read_text() for page in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", text)
    assert len(named) >= 6
    for name in named:
        assert f"def {name}(" in tests


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.name)
def test_python_in_the_pages_uses_what_there_is(page: Path) -> None:
    """Each Python block is a program (but for awaiting at its top), and what it takes of shoal exists."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        tree = compile(block, page.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "shoal":
                assert node.attr in shoal.__all__
