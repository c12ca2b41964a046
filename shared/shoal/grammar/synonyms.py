"""Words that people bring along from other programs, and the commands that they mean.

This module refuses to know how near words are to each other by their letters: `explain` looks here first.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.grammar.patterns import Pattern

_INFO, _START, _KILL, _FLUSH = "vm info", "vm start", "vm kill", "vm flush"
_LAUNCH, _OVERVIEW = "vm launch", "mesh overview"

#: after `vm`, or alone
_OF_VMS = {
    **dict.fromkeys(("list", "ls", "ps", "show", "status"), (_INFO,)),
    **dict.fromkeys(("delete", "rm", "remove", "destroy"), (_KILL, _FLUSH)),
    **dict.fromkeys(("run", "create", "new"), (_LAUNCH, _START)),
    **dict.fromkeys(("pause", "suspend", "halt"), ("vm stop",)),
    **dict.fromkeys(("resume", "unpause", "restart"), (_START,)),
}
_ALONE = {
    **_OF_VMS,
    "status": (_OVERVIEW, _INFO),
    "start": (_START,),
    "stop": ("vm stop",),
    "kill": (_KILL,),
    "launch": (_LAUNCH,),
    "info": (_INFO,),
    "flush": (_FLUSH,),
}


def meant_commands(words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The first words of the commands that words of other programs mean, best first; none where they are nobody's."""
    found = _OF_VMS.get(words[1], ()) if len(words) > 1 and words[0] == "vm" else ()
    if not found and words:
        found = _ALONE.get(words[0], ())
    return tuple(tuple(command.split()) for command in found)


def meant(patterns: Sequence[Pattern], words: Sequence[str]) -> tuple[Pattern, ...]:
    """The patterns that words of other programs mean, best first."""
    return tuple(
        pattern for name in meant_commands(words) for pattern in patterns if pattern.literals[:2] == name
    )
