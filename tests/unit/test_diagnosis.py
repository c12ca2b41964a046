"""From facts about a cluster to what is wrong with it, and what to do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shoal.core.load import Capacity
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import Heartbeat, LaunchRecord, VMStatus
from shoal.messages.doctor import Diagnosis, Finding, worst_first
from shoal.messages.health_requests import Disk, HostHealth
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.diagnosis import Facts, HostFacts, diagnose, leaving_instances, orphans
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord

VM = LaunchRecord(
    namespace="red",
    name="a",
    id=0,
    instance="i1",
    revision=1,
    power="running",
    host="mm1",
    incarnation="inc",
    uuid="u",
    config=VMConfig(),
)


def a_host(name: str = "mm1", **more: object) -> HostFacts:
    beat = Heartbeat(
        host=name, incarnation="inc", session="s", version="1", capacity=Capacity(cpus=1, memory_mib=1)
    )
    facts = HostFacts(
        name=name,
        record=HostRecord(name=name, incarnation="inc"),
        state="alive",
        beat=beat,
        health=HostHealth(),
        peers={"10.0.0.2": "mm2", "10.0.0.3": "mm3"},
    )
    return replace(facts, **more)


def beating(name: str = "mm1", **more: object) -> HostFacts:
    host = a_host(name)
    assert host.beat is not None
    return replace(host, beat=replace(host.beat, **more))


def a_model(*records: LaunchRecord | HostRecord | NamespaceRecord) -> Model:
    model = Model()
    for record in (HostRecord(name="mm1", incarnation="inc"), *records):
        model.apply(subject_of(record), record)
    return model


def found(*hosts: HostFacts, model: Model | None = None, **more: object) -> list[Finding]:
    facts = replace(Facts(version="1", head="head", hosts=(a_host("head"), *hosts)), **more)
    return diagnose(facts, model or a_model())


def test_nothing_is_wrong_with_a_healthy_cluster() -> None:
    """Hosts that are alive, of one version, with VMs that their records name: no finding, and exit code 0."""
    assert found(a_host("mm1"), a_host("mm2"), model=a_model(VM)) == []
    assert Diagnosis().verdict() == 0


@pytest.mark.parametrize(
    ("host", "severity", "told", "do"),
    [
        (a_host(state="lost"), "error", "no heartbeat for 20 s or more; it has 1 VMs", "host forget mm1"),
        (a_host(state="suspect"), "warning", "heartbeats are late", "start its worker"),
        (a_host(state="unknown"), "warning", "not been heard of", "start its worker"),
        (beating(version="2"), "warning", "of version 2, the orchestrator of 1", "upgrading"),
        (beating(held_back="older"), "error", "holds itself back: older", "doctor --repair"),
        (beating(warnings=("slow",)), "warning", "slow", "log"),
        (a_host(unanswered="silent"), "warning", "could not be checked: silent", "log"),
        (
            a_host(health=HostHealth(filters=("bridge-nf-call-iptables",))),
            "warning",
            "br_netfilter is on",
            "sysctl -w net.bridge.bridge-nf-call-iptables=0",
        ),
        (a_host(health=HostHealth(mtu=1500)), "note", "MTU is 1500", "1550"),
        (
            a_host(health=HostHealth(cut_off={"10.0.0.2": "Network is unreachable"})),
            "error",
            "no way to mm2 (10.0.0.2): Network is unreachable",
            "routes",
        ),
        (
            a_host(health=HostHealth(silent=("10.0.0.2", "10.0.0.3"))),
            "warning",
            "no answer to a ping of mm[2-3]",
            "UDP 4789",
        ),
        (
            a_host(health=HostHealth(disks=(Disk(path="/s", size=1 << 40, free=500 << 20),))),
            "warning",
            "500 MiB are left where /s is",
            "make room",
        ),
        (
            a_host(health=HostHealth(disks=(Disk(path="/s", size=1 << 40, free=5 << 20),))),
            "error",
            "5 MiB are left",
            "make room",
        ),
    ],
)
def test_what_is_wrong_with_a_host(host: HostFacts, severity: str, told: str, do: str) -> None:
    """Each fact is one finding about the host, which says what to do."""
    [finding] = found(host, model=a_model(VM))
    assert (finding.severity, finding.object) == (severity, "host mm1")
    assert told in finding.found
    assert do in finding.do


def test_hosts_with_the_same_trouble_are_one_finding() -> None:
    """A thousand hosts with one wrong setting are told in one line."""
    health = HostHealth(mtu=1500)
    [finding] = found(a_host("mm2", health=health), a_host("mm1", health=health))
    assert finding.object == "host mm[1-2]"


def test_a_good_mtu_and_an_unknown_one_are_no_findings() -> None:
    """1,550 bytes are enough; a host that knows no peers knows no MTU."""
    assert found(a_host(health=HostHealth(mtu=1550)), a_host("mm2", health=HostHealth(mtu=0))) == []


def test_a_host_that_was_declared_dead_is_no_finding() -> None:
    """An operator has dealt with it."""
    record = HostRecord(name="mm1", incarnation="inc", fenced=True)
    assert found(a_host(state="lost", record=record)) == []


def test_a_frozen_store_comes_first_and_names_the_repair() -> None:
    """It is an error, and the worst are shown first whatever their order."""
    held = beating(held_back="it went backwards")  # told once, not for each host
    findings = found(
        held, a_host("mm2", state="suspect"), frozen="it went backwards", mass_loss=4, unreadable=("x",)
    )
    first, second, third, last = worst_first(tuple(findings))
    assert (first.object, first.found) == ("store", "it went backwards")
    assert "doctor --repair" in first.do
    assert [second.severity, third.severity, last.severity] == ["error", "error", "warning"]
    assert Diagnosis(items=(first, last)).verdict() == 1
    assert Diagnosis(items=(last,)).verdict() == 3


def test_what_runs_without_a_record_is_told_with_its_host() -> None:
    """An orphan by what the records say, whatever its worker calls it; what is to be gone is none."""
    status = VMStatus(namespace="red", name="b", instance="i9", revision=1, state="RUNNING")
    leaving = replace(VM, name="c", instance="i3", power="gone")
    model = a_model(VM, leaving)
    known = replace(status, name="a", instance="i1"), replace(status, name="c", instance="i3")
    left = orphans((status, *known), model, leaving_instances(model))
    assert left == (status,)
    [finding] = found(a_host(orphans=left), model=model)
    assert finding.object == "vm red/b"
    assert "RUNNING on mm1" in finding.found
    assert "i9" in finding.found
    many = tuple(replace(status, name=f"b{number}", instance=f"i{number}") for number in (10, 2, 11))
    [finding] = found(a_host(orphans=many), model=model)
    assert finding.object == "vm red/b[2,10-11]"


def test_records_that_nobody_can_carry_out_are_told() -> None:
    """VMs for a host that is not known, or that was set up anew since; and hosts of a namespace that are none."""
    elsewhere = replace(VM, name="b", instance="i2", host="mm7")
    anew = replace(VM, name="c", instance="i3", incarnation="earlier")
    red = NamespaceRecord(name="red", hosts="mm[1,9]")
    findings = found(a_host(), model=a_model(elsewhere, anew, red))
    assert [(finding.severity, finding.object) for finding in findings] == [
        ("error", "host mm7"),
        ("warning", "host mm1"),
        ("warning", "namespace red"),
    ]
    assert "red/b" in findings[0].found
    assert "red/c" in findings[1].found
    assert findings[2].do == "`namespace red ns del-hosts mm9`"


def test_a_cluster_without_a_worker_at_its_head_is_told() -> None:
    """Host taps and files come from there."""
    [finding] = diagnose(Facts(version="1", head="head"), a_model())
    assert finding.object == "host head"
