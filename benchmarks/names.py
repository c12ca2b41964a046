"""How long `vm launch kvm vm[0-99999]` takes until its VMs are queued: names expanded, checked, and indexed.

    python -m benchmarks.names [--vms N] [--repeat N] [--json]

Measured without the bus: the decision (`launching.new_entry`) and the model that takes the entry in, with as many
VMs queued before under other names. The yardstick beside it makes the names with an f-string and a set, nothing else.
"""

from __future__ import annotations

import argparse
from time import perf_counter

from benchmarks.rows import Row, number, show

from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.launching import new_entry
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord

#: so many names the peer was measured with
PEER_VMS = 100_000


def queued_s(model: Model, vms: int) -> float:
    """Seconds to queue that many VMs; they are taken off again."""
    record = NamespaceRecord(name="red", next_entry=1)
    start = perf_counter()
    entry = new_entry(model, record, f"vm[0-{vms - 1}]", VMConfig())
    model.apply(subject_of(entry), entry)
    taken = perf_counter() - start
    assert len(model.queued_names["red"]) == 2 * vms
    model.apply(subject_of(entry), None)
    return taken


def naive_s(vms: int) -> float:
    """Seconds to make that many different names."""
    start = perf_counter()
    assert len({f"vm{number}" for number in range(vms)}) == vms
    return perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times the queueing of many names.")
    parser.add_argument("--vms", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = Model()
    before = new_entry(model, NamespaceRecord(name="red"), f"old[0-{options.vms - 1}]", VMConfig())
    model.apply(subject_of(before), before)
    ours, naive = [], []
    for _ in range(options.repeat):
        ours.append(queued_s(model, options.vms))
        naive.append(naive_s(options.vms))
    best = min(ours)
    row = Row(
        f"{options.vms:,} names of one launch expanded, checked and queued",
        best,
        "s",
        naive=number(min(naive), "s"),
        peer="62 s" if options.vms == PEER_VMS else "",
        note=f"best of {options.repeat}; naive: only making the names",
    )
    show([row], as_json=options.json)


if __name__ == "__main__":
    main()
