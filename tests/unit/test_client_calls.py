"""Calls of the client: replies, pages, progress, errors, other versions; its far end is a function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from tests.unit.client_rig import Answer, TermEnded, client_of, row

import shoal
from shoal import codec
from shoal.client import Command
from shoal.client.calls import DOUBT_S
from shoal.errors import (
    Conflict,
    NamespaceGone,
    NotFound,
    OtherVersion,
    ShoalError,
    StoreUnavailable,
    TimedOut,
    Unavailable,
)
from shoal.messages.base import Page, Progress, Reply, Request
from shoal.messages.catalogue import COMMANDS
from shoal.messages.namespaces import Namespaces
from shoal.messages.schedule import Launched
from shoal.messages.vms import Changed, ListVMs, StartVMs, VMs


def value_of(kind: Any) -> Any:
    """Some value of a field that has no default."""
    kinds = get_args(kind)
    if int in (kind, *kinds):
        return 1
    if getattr(kind, "__origin__", None) is not tuple:
        return "a"
    return (kinds[0]() if issubclass(kinds[0], msgspec.Struct) else "a",)


def example(command: type[Request[Any]]) -> Request[Any]:
    """A request of a class, with something in each field that has to be there."""
    needed = [field for field in msgspec.structs.fields(command) if field.required]
    return command(**{field.name: value_of(field.type) for field in needed})


def empty(reply: type[Reply]) -> Reply:
    """A reply of a class."""
    needed = [field for field in msgspec.structs.fields(reply) if field.required]
    values: Any = {f.name: () if "tuple" in str(f.type) else value_of(f.type) for f in needed}
    return reply(**values)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
async def test_every_command_can_be_called(command: type[Request[Any]]) -> None:
    """Each command of the catalogue is sent as it is, and answered with an object of the class that it names.

    What changes something bears an id, and who asks.
    """
    there = empty(command.reply)
    client, bus = client_of(lambda _: iter([there]))
    request = example(command)
    reply = await client.call(request, namespace="red")
    assert reply == there
    assert type(reply) is command.reply
    [sent] = bus.requests
    assert msgspec.structs.replace(sent, id="", by="") == request
    assert bool(sent.id) is not command.reads
    assert sent.by == ("" if command.reads else "tester")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
async def test_every_list_in_pages_is_one_list(command: type[Request[Any]]) -> None:
    """Each command that takes a page's end answers with a `Page`, and `items` goes through all of them."""
    if "after" not in inspect.signature(command).parameters:
        return
    assert issubclass(command.reply, Page)

    def pages(request: Any) -> Iterator[Answer]:
        number = int(request.after or 0)
        yield command.reply(next=str(number + 1) if number < 3 else "")

    client, bus = client_of(pages)
    assert await client.items(example(command), namespace="red") == []
    assert [getattr(request, "after", "") for request in bus.requests] == ["", "1", "2", "3"]


def vm_pages(request: Any) -> Iterator[Answer]:
    first = int(request.after or 0)
    yield VMs(
        items=tuple(row(f"vm{n}", number=n) for n in range(first, first + 10)),
        next=str(first + 10) if first < 90 else "",
    )


async def test_lists_are_fetched_as_they_are_read() -> None:
    """Iterating holds a page at a time; awaiting gives all rows; who stops early has asked for no more."""
    client, bus = client_of(vm_pages)
    red = client.namespace("red")
    async for vm in red.vms():
        if vm.name == "vm12":
            break
    assert len(bus.requests) == 2
    assert [vm.name for vm in await red.vms()] == [f"vm{n}" for n in range(100)]
    assert len(await asyncio.create_task(red.vms())) == 100


async def test_a_namespace_that_goes_between_two_pages_is_named() -> None:
    """A list whose namespace disappears under it ends with an error that says so; one that never was is NotFound."""
    gone = NotFound("no such namespace: `red`")

    def going(request: Any) -> Iterator[Answer]:
        yield VMs(items=(row("vm0"),), next="0") if not request.after else gone

    client, _ = client_of(going)
    rows = aiter(client.namespace("red").vms())
    assert (await anext(rows)).name == "vm0"
    with pytest.raises(NamespaceGone, match="namespace `red` was removed while `vm info` was read") as told:
        await anext(rows)
    assert told.value.namespace == "red"
    client, _ = client_of(lambda _: iter([gone]))
    with pytest.raises(NotFound) as never:
        await client.namespace("red").vms()
    assert type(never.value) is NotFound


async def test_progress_can_be_iterated_and_the_reply_awaited() -> None:
    """A command's progress comes step by step, then its reply, as often as it is asked for; a callback hears it too."""
    heard: list[int] = []
    steps = [Progress(done=n, total=3, text="launching") for n in (1, 2, 3)]
    client, bus = client_of(lambda _: iter([*steps, Launched(count=3)]))
    launching = client.namespace("red").launch("vm[0-2]", progress=lambda done, *_: heard.append(done))
    seen = [step.done async for step in launching]
    assert seen[-1:] == [3]
    assert heard == [1, 2, 3]
    assert (await launching).count == (await launching).count == 3
    assert len(bus.requests) == 1


async def test_an_error_ends_the_progress() -> None:
    """A command that fails raises from the loop over its progress, and again when it is awaited."""
    client, _ = client_of(lambda _: iter([Progress(done=1), Conflict("taken", names=("a",))]))
    launching = client.namespace("red").launch("a")
    with pytest.raises(Conflict, match="taken"):
        async for _ in launching:
            pass
    with pytest.raises(Conflict) as refused:
        await launching
    assert refused.value.names == ("a",)


async def test_a_command_is_a_coroutine() -> None:
    """Commands can be given to tasks; one that is never awaited is warned of as coroutines are."""
    client, _ = client_of(lambda _: iter([Changed(count=2)]))
    ns = client.namespace("red")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ns.start(f"vm{n}")) for n in range(3)]
    assert [task.result().count for task in tasks] == [2, 2, 2]
    ignored: Command[Changed] = ns.start()
    with pytest.warns(RuntimeWarning, match="never awaited"):
        del ignored


async def test_a_retry_is_the_same_request() -> None:
    """While nobody answers a request is sent again with the id that it had."""
    answers: list[Answer] = [Unavailable("nobody"), Changed(count=1)]
    client, bus = client_of(lambda _: iter([answers.pop(0)]), patience_s=5)
    assert (await client.namespace("red").start()).count == 1
    assert len(bus.requests) == 2
    assert len({request.id for request in bus.requests}) == 1


async def test_nobody_leads() -> None:
    """Without an orchestrator a call ends with Unavailable after its patience, or with TimedOut at its deadline."""
    client, _ = client_of(lambda _: iter([Unavailable("nobody answers")]))
    with pytest.raises(Unavailable, match="nobody answers"):
        await client.call(ListVMs(), namespace="red")
    client, _ = client_of(lambda _: iter([Unavailable("nobody answers")]), patience_s=60)
    with pytest.raises(TimedOut, match=r"no answer to `vm start` within 0.1 s; it may still be carried out"):
        await client.call(StartVMs(target="a"), namespace="red", timeout_s=0.1)


async def test_an_orchestrator_that_does_not_know_a_command() -> None:
    """Where an orchestrator answers, but not to this command, the error tells of versions, and comes soon."""
    client, _ = client_of(
        lambda _: iter([Namespaces()]),
        patience_s=60,
        deaf=lambda subject: subject != "shoal.console",
    )
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(OtherVersion, match="does not know `vm start`"):
        await client.namespace("red").start()
    assert loop.time() - began < DOUBT_S + 10


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"vms":"a","count":1,"colour":"red"}', ""),
        (b'{"vms":"a","count":"many"}', "cannot read the answer to `vm start`"),
        (b"[1]", "cannot read the answer to `vm start`"),
    ],
)
async def test_answers_of_another_version(body: bytes, told: str) -> None:
    """Unknown fields of a reply are passed over; a reply that does not fit is an error that tells of versions."""
    client, _ = client_of(lambda _: iter([body]))
    if not told:
        assert (await client.namespace("red").start()).count == 1
        return
    with pytest.raises(OtherVersion, match=told):
        await client.namespace("red").start()


class NewerError(ShoalError):
    kind = "Sleepy"
    code = 418


async def test_errors_of_a_newer_version_are_errors_all_the_same() -> None:
    """An error of an unknown kind is a ShoalError with its message."""
    client, _ = client_of(lambda _: iter([NewerError("not before noon")]))
    with pytest.raises(ShoalError, match="not before noon") as told:
        await client.namespace("red").start()
    assert type(told.value) is ShoalError


async def test_giving_up_takes_nothing_back() -> None:
    """A call that is cancelled has sent its command once, and sends nothing after it."""
    client, bus = client_of(lambda _: iter([Unavailable("slow")]), patience_s=60)
    waiting = asyncio.create_task(client.namespace("red").start())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [type(request) for request in bus.requests] == [StartVMs]


@pytest.mark.parametrize("name", ["", "a*", "a b", ".a", "a\n"])
def test_names_that_are_none_are_refused_before_anything_is_sent(name: str) -> None:
    """A handle is made only for what can be a name: wildcards never become subjects."""
    client, _ = client_of(lambda _: iter([]))
    with pytest.raises(shoal.InvalidRequest):
        client.namespace(name)
    with pytest.raises(shoal.InvalidRequest):
        client.namespace("red").vm(name)


async def test_orchestrators_that_follow_each_other_are_of_no_other_version() -> None:
    """A command is not known for a moment, then it is waited for in vain, and for another moment it is not known."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def deaf(subject: str) -> bool:
        at = loop.time() - began
        return subject != "shoal.console" and (at < DOUBT_S + 0.3 or DOUBT_S + 2 < at < DOUBT_S + 2.4)

    def answers(_: Request[Any]) -> Iterator[Answer]:
        yield Changed(count=1) if loop.time() - began > DOUBT_S + 2.4 else TimedOut("silence")

    client, _ = client_of(answers, patience_s=60, deaf=deaf)
    assert (await client.namespace("red").start()).count == 1


async def test_an_orchestrator_without_its_store_is_no_other_version() -> None:
    """Who answers that the store is away knows the command: it is asked again, and its own words come at the end."""
    away = TermEnded(StoreUnavailable("the store is away"))
    client, bus = client_of(lambda _: iter([away]), patience_s=DOUBT_S + 2)
    with pytest.raises(StoreUnavailable, match="the store is away"):
        await client.namespace("red").start()
    assert len(bus.requests) > 1


@pytest.mark.parametrize("kind", [StoreUnavailable, Unavailable, TimedOut])
async def test_what_a_command_came_to_is_no_reason_to_repeat_it(kind: type[ShoalError]) -> None:
    """A full file store, a host that does not answer: the command has ended so, however long it took."""

    class Answered(kind):  # type: ignore[misc,valid-type]  # the rig takes Unavailable itself for silence
        pass

    steps: list[Answer] = [Progress(text="saving memory"), Answered("no room for it")]
    client, bus = client_of(lambda _: iter(steps), patience_s=60)
    with pytest.raises(kind, match="no room for it"):
        await client.namespace("red").start()
    assert len(bus.requests) == 1


@pytest.mark.parametrize("method", ["launch", "start", "stop", "kill", "flush"])
async def test_what_failed_for_the_only_vm_is_raised(method: str) -> None:
    """A handle on one VM raises what failed for it, as the class that it is; a namespace's reply has it."""
    failure = codec.failure_of(Conflict("web1: it burns", details=("call somebody",), names=("web1",)))

    def fails(request: Request[Any]) -> Iterator[Answer]:
        yield msgspec.structs.replace(empty(type(request).reply), failures=(failure,))

    client, _ = client_of(fails)
    red = client.namespace("red")
    with pytest.raises(Conflict, match="web1: it burns") as caught:
        await getattr(red.vm("web1"), method)()
    assert (caught.value.names, caught.value.details) == (("web1",), ("call somebody",))
    assert (await getattr(red, method)("web1")).failures == (failure,)
