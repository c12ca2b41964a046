"""The protocol, searched: leadership, launch, start, kill, flush and move, with faults, in all their orders.

What the worker and the leader decide is decided by their own code; see docs/reliability.md, "The protocol's model".
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest
from tests.model.search import explore
from tests.model.state import Fault, Rules, Scenario, Verb

#: far more states than any of these searches sees: beyond it, a change has made the model too large
MOST = 25_000


def scenario(
    script: str, faults: str = "", budget: int = 1, *, afterwards: int = 0, **rules: bool
) -> Scenario:
    """A scenario from words; `rules` are taken away."""
    verbs: list[Verb] = script.split()  # type: ignore[assignment]  # a wrong word is found by its handler
    names: list[Fault] = faults.split()  # type: ignore[assignment]  # a wrong fault never strikes: see below
    return Scenario(tuple(verbs), frozenset(names), budget if faults else 0, Rules(**rules), afterwards)


SOUND = {
    "nothing happens": scenario("launch start kill flush launch"),
    "a crash": scenario("launch start kill", "crash-orchestrator crash-worker"),
    "a crash, and the name again": scenario("launch kill flush launch", "crash-worker"),
    "a crash after the launch": scenario("launch", "crash-orchestrator"),
    "two crashes": scenario("launch", "crash-orchestrator crash-worker", 2),
    "a flush and a crash": scenario("launch start kill flush", "crash-orchestrator crash-worker"),
    "a pause": scenario("launch start kill", "pause"),
    "a take-over too early": scenario("launch start kill", "early-take-over"),
    "a late batch": scenario("launch kill flush", "late-batch"),
    "a late batch and a take-over": scenario("launch kill", "late-batch crash-orchestrator"),
    "a cut": scenario("launch start kill", "cut"),
    "a cut, and the name again": scenario("launch kill flush launch", "cut"),
    "a late guest": scenario("launch kill flush", "late-creation impatience", 2),
    "a late guest, and the name again": scenario("launch kill start", "late-creation impatience", 2),
    "a request again": scenario("launch kill flush", "repeat"),
    "an impatient client": scenario("launch kill flush", "impatience crash-orchestrator", 2),
    "a move": scenario("launch start move", "crash-orchestrator cut"),
    "a move alone": scenario("launch start move"),
    "an older store": scenario("launch start", "rollback"),
    "an older store and a crash": scenario("launch start", "rollback crash-worker", 2),
    "an older store, and a request": scenario("launch start kill", "rollback", afterwards=1),
}


@pytest.mark.parametrize("name", SOUND)
def test_no_promise_is_broken_in_any_order_of_things(name: str) -> None:
    """Nothing runs twice, nothing killed comes back, and from everywhere a way leads to what was asked for."""
    found = explore(SOUND[name], most=MOST)
    print(f"{name}: {found}")
    assert not found.broken, f"{name}: {found}"
    assert found.states > 30, "the search has hardly seen anything"


#: each rule, what happens when it is taken away, and what the search then finds
NEEDED = {
    "fence": ("a pause", "carried out twice"),
    "chained": ("a late batch", "no way leads"),
    "adopt_by_instance": ("a late guest, and the name again", "was killed"),
    "judge_by_revision": ("a crash", "was killed"),
    "only_gone_removes": ("an older store", "was touched"),
    "gone_is_remembered": ("a flush and a crash", "was killed"),
    "outcome_with_change": ("a crash after the launch", "launch was refused"),
    "unspoken_is_lost": ("a crash", "was killed"),
    "refusal_confirmed": ("a take-over too early", "was refused"),
    "step_taken_once": ("an impatient client", "carried out twice"),
    "move_waits": ("a move alone", "runs twice"),
    "later_instance_stays": ("an older store and a crash", "was touched"),
    "late_guests_end": ("a late guest", "no way leads"),
    "leader_freezes": ("an older store, and a request", "no way leads"),
}


@pytest.mark.parametrize("rule", NEEDED)
def test_without_the_rule_a_promise_is_broken(rule: str) -> None:
    """Each rule is needed: taken away, the search finds how a promise is broken, and tells it step by step."""
    name, what = NEEDED[rule]
    # without chained batches nothing else stands in for the fence
    off = {rule: False, "chained": rule not in ("fence", "chained")}
    found = explore(replace(SOUND[name], rules=Rules(**off)), most=MOST)
    print(f"without {rule}: {found}")
    assert what in found.broken, f"without {rule}: {found}"
    assert 0 < len(found.trace) < 40


def test_every_rule_has_its_counterexample() -> None:
    """No rule of the model is there for nothing."""
    assert NEEDED.keys() == {rule.name for rule in fields(Rules)}


def test_every_fault_is_injected() -> None:
    """Each kind of fault strikes in one of the sound scenarios."""
    assert {fault for each in SOUND.values() for fault in each.faults} == set(get_args(Fault))
