"""The stream of events on a real nats-server: reading back the last of each subject, ids, and what is kept."""

from __future__ import annotations

import json

import pytest

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Event, Retention
from shoal.bus.streams import JetStreamState
from shoal.errors import StoreUnavailable
from shoal.testing.nats_server import running_nats_server


async def publish(state: JetStreamState, *names: str, what: str = "started", tag: str = "") -> None:
    for name in names:
        body = json.dumps({"name": name, "tag": tag}).encode()
        await state.publish_events(
            [Event(subjects.event("red", "vm", what, name), body, f"{name}-{what}-{tag}")]
        )


async def last(state: JetStreamState, namespace: str = "") -> list[tuple[str, str]]:
    return [
        (stored.subject, json.loads(stored.body)["tag"])
        async for stored in state.last_events(subjects.events(namespace))
    ]


async def test_the_last_event_of_every_subject_is_read_however_many_there_are(nats_url):
    """More subjects than a direct get takes, each with an older event: each is read once, with the later body."""
    names = [f"web{number}" for number in range(1300)]
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        await publish(state, *names, tag="old")
        await publish(state, *names, tag="new")
        await publish(state, "web7", what="quit", tag="end")
        found = await last(state)
        assert found[-1] == ("shoal.event.red.vm.quit.web7", "end")
        assert found[:-1] == [(f"shoal.event.red.vm.started.{name}", "new") for name in names]
        assert await last(state, "blue") == []
        assert (await bus.client.jetstream().stream_info(subjects.EVENT_STREAM)).state.consumer_count == 0


async def test_a_reader_that_stops_early_leaves_no_consumer(nats_url):
    """Whoever leaves in the middle has its consumer removed."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        await publish(state, "a", "b", "c")
        events = state.last_events(subjects.events())
        assert (await anext(events)).subject.endswith(".a")
        await events.aclose()
        assert (await bus.client.jetstream().stream_info(subjects.EVENT_STREAM)).state.consumer_count == 0


@pytest.mark.parametrize(
    ("replicas", "advice"),
    [
        (1, r"SHOAL_EVENTS .* insufficient storage .*`max_file_store`.*smaller `event-size` than 1024 MiB"),
        (3, r"SHOAL_STATE .* replicas > 1 not supported .*`replicas` of 1"),
    ],
)
async def test_streams_that_a_server_cannot_have_are_refused_with_what_helps(replicas: int, advice: str):
    """A server with little room cannot promise the events theirs; one alone has no replicas."""
    with running_nats_server(room="100MB") as server:
        async with await connect(server.url, name="t") as bus:
            with pytest.raises(StoreUnavailable, match=advice):
                await JetStreamState(bus).ensure(replicas=replicas)


async def test_without_the_stream_reading_is_a_typed_error(nats_url):
    """Where nobody has made the stream, StoreUnavailable says what was to be read."""
    async with await connect(nats_url, name="t") as bus:
        with pytest.raises(
            StoreUnavailable, match=r"cannot read the last events under `shoal\.event\.>`: .*not found"
        ):
            await last(JetStreamState(bus))


async def test_an_event_that_comes_twice_is_stored_once(nats_url):
    """The same id again, as after an acknowledgement that was lost, gets the sequence of the first."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        event = Event(subjects.event("red", "vm", "started", "a"), b"{}", "1-2-RUNNING")
        assert await state.publish_events([event]) == await state.publish_events([event]) == 1


async def test_changed_settings_of_what_is_kept_reach_a_stream_that_is_there(nats_url):
    """Age and size of an existing stream follow the settings at the next start; smaller ones drop the oldest events."""
    async with await connect(nats_url, name="t") as bus:
        state, jetstream = JetStreamState(bus), bus.client.jetstream()
        await state.ensure(replicas=1)
        made = await jetstream.stream_info(subjects.EVENT_STREAM)
        assert (made.config.max_age, made.config.max_bytes) == (7 * 24 * 3600, 1 << 30)
        for number in range(5):
            await state.publish_events(
                [Event(subjects.event("red", "vm", "quit", "a"), b"x" * 400_000, str(number))]
            )
        await state.ensure(replicas=1, events=Retention(age_s=120, size_bytes=1 << 20))
        now = await jetstream.stream_info(subjects.EVENT_STREAM)
        assert (now.config.max_age, now.config.max_bytes) == (120, 1 << 20)
        assert (now.state.first_seq, now.state.last_seq) == (4, 5)
        await state.ensure(replicas=1, events=Retention())
        grown = await jetstream.stream_info(subjects.EVENT_STREAM)
        assert (grown.config.max_age, grown.config.max_bytes) == (7 * 24 * 3600, 1 << 30)
