"""Which VMs a word means: a name, a range, an id, or `all`.

This module refuses to know hosts and states.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.core.names import is_integer
from shoal.core.ranges import expand
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord

ALL = "all"


def not_found(name: str) -> Failure:
    """The failure for one VM that does not exist."""
    prefix, star, _ = name.partition("*")
    details = (f"there are no wildcards: a range is written {prefix or 'web'}[1-4]",) if star else ()
    return Failure(kind="NotFound", code=404, message=f"vm not found: {name}", details=details, names=(name,))


def resolve(vms: Mapping[str, LaunchRecord], target: str) -> tuple[list[LaunchRecord], tuple[Failure, ...]]:
    """The VMs that `target` means, each once and in its order, and a failure for each name that is none.

    Raises InvalidRequest when the range cannot be read.
    """
    if target == ALL:
        return sorted(vms.values(), key=lambda record: record.id), ()
    by_id = {str(record.id): record for record in vms.values()}
    found: dict[str, LaunchRecord] = {}
    missing: list[Failure] = []
    for name in expand(target):
        record = vms.get(name) or (by_id.get(name) if is_integer(name) else None)
        if record is None:
            missing.append(not_found(name))
        else:
            found[record.instance] = record
    return list(found.values()), tuple(missing)
