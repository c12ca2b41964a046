"""How long `vm launch kvm vm[0-99999]` takes until its VMs are queued: names expanded, checked, and indexed.

    python benchmarks/names.py [--vms N] [--repeat N]

Measured without the bus: the decision (`launching.new_entry`) and the model that takes the entry in, with as many
VMs queued before under other names. The yardstick beside it makes the names with an f-string and a set, nothing else.
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter

from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.launching import new_entry
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord


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
    options = parser.parse_args()
    model = Model()
    before = new_entry(model, NamespaceRecord(name="red"), f"old[0-{options.vms - 1}]", VMConfig())
    model.apply(subject_of(before), before)
    ours, naive = [], []
    for _ in range(options.repeat):
        ours.append(queued_s(model, options.vms))
        naive.append(naive_s(options.vms))
    print(
        f"{options.vms:,} names in one launch: median {statistics.median(ours):.3f} s, best {min(ours):.3f} s "
        f"(only making them: median {statistics.median(naive):.3f} s, best {min(naive):.3f} s)"
    )


if __name__ == "__main__":
    main()
