"""What was told last of each object: the events as far as they are published, folded to their latest.

This module refuses to know the bus and the state. It is given the last events of the stream once, and every event
that this leader publishes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

import msgspec

from shoal import subjects
from shoal.messages.events import Event, VMEvent

#: an object of which this was told is not there any more
_END = "removed"
#: that a host is drained, or declared dead, is told beside how it is, not instead of it
_ASIDE = {("host", "draining"): "drain", ("host", "resumed"): "drain", ("host", "forgotten"): "fence"}
#: stands for an event that was dropped before it was stored: nothing equals it
_LOST = "?"


class Last(NamedTuple):
    """The last event of an object. `about` is a VM's instance, a tap's host, a bridge's key."""

    what: str
    about: str = ""
    revision: int = 0


class _Body(msgspec.Struct, frozen=True):
    """Of an event's body, what tells one object from another of its name."""

    instance: str = ""
    host: str = ""
    key: int = 0
    revision: int = 0


def _last(what: str, noun: str, body: object) -> Last:
    if noun == "vm":
        return Last(what, getattr(body, "instance", ""), getattr(body, "revision", 0))
    if noun == "tap":
        return Last(what, getattr(body, "host", ""))
    return Last(what, str(getattr(body, "key", 0)) if noun == "bridge" else "")


class Told:
    """The last event of each object that there is, by namespace, noun and name.

    It begins with nothing; `inherit` adds what the stream had before. Until then, of what is `inherited` (the
    instances that the state had at take-over) nobody knows whether it was told.
    """

    def __init__(self, inherited: Container[str] = ()) -> None:
        self._last: dict[str, dict[str, dict[str, Last]]] = {}
        self._inherited = inherited
        #: what this leader has told before `inherit`
        self._ours: list[Event] = []
        self.known = False

    def take(self, event: Event) -> None:
        """An event is being published."""
        if not self.known:
            self._ours.append(event)
        where = subjects.EventSubject(event.namespace, event.noun, event.what, event.name)
        self._note(where, _last(event.what, event.noun, event))

    def take_stored(self, subject: str, body: bytes) -> None:
        """An event is in the stream; what is none of ours there is passed over. Oldest first."""
        where = subjects.parse_event(subject)
        if where is None:
            return
        try:
            about = msgspec.json.decode(body, type=_Body)
        except msgspec.MsgspecError:
            return
        self._note(where, _last(where.what, where.noun, about))

    def inherit(self, before: Told) -> None:
        """Put what the stream had under what this leader has told since."""
        ours, self._ours = self._ours, []
        self._last, self._inherited, self.known = before._last, (), True
        for event in ours:
            self.take(event)

    def says(self, namespace: str, noun: str, name: str) -> Last | None:
        """The last event of an object; None when there is none, or it tells of the end."""
        return self._last.get(namespace, {}).get(noun, {}).get(name)

    def everything(self, noun: str) -> Iterator[tuple[str, str, Last]]:
        """All that there is of a noun, by the events: namespace, name, last event."""
        for namespace, nouns in list(self._last.items()):
            for name, last in list(nouns.get(noun, {}).items()):
                yield namespace, name, last

    def lacks(self, event: Event) -> bool:
        """Whether the last event of its object says anything else than this one.

        False also where that is not known yet: then `missing` finds it.
        """
        last = self.says(event.namespace, _noun(event.noun, event.what), event.name)
        if last is None and not self.known:
            return isinstance(event, VMEvent) and event.instance not in self._inherited
        return last is None or last[:2] != _last(event.what, event.noun, event)[:2]

    def again(self, event: Event) -> bool:
        """Whether something was told of this very revision of a VM: it has changed without having been asked to."""
        if not isinstance(event, VMEvent) or not event.revision:
            return False
        last = self.says(event.namespace, event.noun, event.name)
        return last is not None and last[1:] == (event.instance, event.revision)

    def lose(self, event: Event) -> None:
        """An event was taken, and was not stored after all: what it says is missing, unless a later one was taken."""
        told = _last(event.what, event.noun, event)
        last = self.says(event.namespace, _noun(event.noun, event.what), event.name)
        if last is None or last == told:
            names = self._last.setdefault(event.namespace, {}).setdefault(_noun(event.noun, event.what), {})
            names[event.name] = Last(_LOST, told.about)

    def _note(self, where: subjects.EventSubject, last: Last) -> None:
        if where.noun == "namespace" and where.what == "removed":
            # "A namespace and all that was in it are gone."
            self._last.pop(where.namespace, None)
            return
        names = self._last.setdefault(where.namespace, {}).setdefault(_noun(where.noun, where.what), {})
        if where.noun == "queue" and where.what == "flushed":
            names.clear()
        elif where.what != _END:
            names[where.name] = last
            if (where.noun, where.what) == ("host", "alive"):
                # It lives: that it was declared dead is over.
                self._last[where.namespace].get("fence", {}).pop(where.name, None)
        elif where.name in names and (where.noun != "vm" or names[where.name].about == last.about):
            # A VM's name may have been given to the next instance before the last one was removed.
            del names[where.name]


def _noun(noun: str, what: str) -> str:
    return _ASIDE.get((noun, what), noun)
