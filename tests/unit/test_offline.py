"""`shoal plan`: documents in, placements out, and one line for everything that is no document."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from shoal_orchestrator.offline.__main__ import main

HOSTS = [{"name": f"h{n}", "cpus": 4, "memory_mib": 8192} for n in range(2)]


class Input:
    def __init__(self, text: str | bytes) -> None:
        self.buffer = io.BytesIO(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(document: object) -> tuple[int, Any, str]:
        text = document if isinstance(document, (str, bytes)) else json.dumps(document)
        monkeypatch.setattr("sys.stdin", Input(text))
        code = main(["-"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, err

    return run


def test_vms_are_placed_by_the_planners_rules(plan: Any) -> None:
    """Equal VMs evenly, a solo one alone, followers with their leader; names are folded."""
    code, found, err = plan(
        {
            "hosts": [*HOSTS, {"name": "h2", "cpus": 4, "committed": {"vcpus": 9, "vms": 9}}],
            "vms": [
                {"names": "vm[0-3]"},
                {"names": "solo", "coschedule": 0},
                {"names": "f", "colocate": "vm3"},
                {"names": "pin", "schedule": "h2"},
            ],
        }
    )
    assert (code, err) == (0, "")
    assert found == {"placements": {"h0": "solo", "h1": "f,vm[0-3]", "h2": "pin"}, "unplaceable": []}


def test_everything_but_names_has_a_default(plan: Any) -> None:
    """Those of vm config: one vCPU, 2048 MiB, no limits; no VMs are placed nowhere."""
    assert plan({"hosts": [{"name": "h"}], "vms": [{"names": "a"}]})[1] == {
        "placements": {"h": "a"},
        "unplaceable": [],
    }
    code, found, _ = plan(
        {"hosts": [{"name": "h", "limit": {"memory_mib": 4095}}], "vms": [{"names": "a,b"}]}
    )
    assert code == 1
    assert found["placements"] == {"h": "a"}
    assert "2048 of 4095 MiB of memory are promised" in found["unplaceable"][0]["reason"]
    assert plan({}) == (0, {"placements": {}, "unplaceable": []}, "")


def test_load_policies_and_relative_ranks(plan: Any) -> None:
    """The least loaded host depends on the policy."""
    document = {
        "hosts": [
            {"name": "h0", "cpus": 2, "memory_mib": 9000, "committed": {"vcpus": 2, "nics": 3}},
            {"name": "h1", "cpus": 64, "memory_mib": 1000, "committed": {"vcpus": 8, "nics": 1}},
        ],
        "vms": [{"names": "a", "nics": 1}],
    }
    chosen = {
        (load, relative): next(iter(plan({**document, "load": load, "relative": relative})[1]["placements"]))
        for load in ("cpucommit", "netcommit", "memload", "memcommit")
        for relative in (False, True)
    }
    assert chosen == {
        ("cpucommit", False): "h0",
        ("cpucommit", True): "h1",
        ("netcommit", False): "h1",
        ("netcommit", True): "h1",
        ("memload", False): "h0",
        ("memload", True): "h0",
        ("memcommit", False): "h0",
        ("memcommit", True): "h0",
    }


@pytest.mark.parametrize(
    ("limit", "placed"), [(None, "a[0-3]"), (-1, "a[0-3]"), (2, "a[0-1]"), ({"vcpus": 3}, "a[0-2]")]
)
def test_a_host_may_have_a_limit(plan: Any, limit: object, placed: str) -> None:
    """None, a number of VMs, or one for each of what is promised."""
    assert plan({"hosts": [{"name": "h", "limit": limit}], "vms": [{"names": "a[0-3]"}]})[1][
        "placements"
    ] == {"h": placed}


def test_what_fits_nowhere_is_told_and_the_rest_is_placed(plan: Any) -> None:
    """The exit code is 1; each VM and host has its reason."""
    code, found, _ = plan({"hosts": HOSTS, "vms": [{"names": "s[0-2]", "coschedule": 0}]})
    assert code == 1
    assert found["placements"] == {"h0": "s0", "h1": "s1"}
    assert found["unplaceable"] == [
        {
            "vms": "s2",
            "hosts": f"h{n}",
            "reason": f"`s{n}` allows 0 others there (coschedule), it would have 1",
        }
        for n in range(2)
    ]
    code, found, _ = plan({"vms": [{"names": "a[0-9]"}]})
    assert (code, found["unplaceable"]) == (
        1,
        [{"vms": "a[0-9]", "hosts": "", "reason": "there are no hosts"}],
    )
    code, found, _ = plan({"hosts": HOSTS, "vms": [{"names": "a", "colocate": "nobody"}]})
    assert code == 1
    assert "colocated with `nobody`" in found["unplaceable"][0]["reason"]


def test_vms_by_number_get_names(plan: Any) -> None:
    """As when they are launched: vm-0, vm-1, and on in the next entry."""
    found = plan({"hosts": HOSTS[:1], "vms": [{"names": "2"}, {"names": "1"}]})[1]
    assert found["placements"] == {"h0": "vm-[0-2]"}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "Input data was truncated; expected JSON as in docs/scheduling.md"),
        ("{", "Input data was truncated"),
        (b"\xff", "JSON is malformed"),
        ("[]", "Expected `object`, got `array`"),
        ('{"host": []}', "Object contains unknown field `host`"),
        ({"hosts": [{"name": "h", "cpu": 1}]}, "unknown field `cpu` - at `$.hosts[0]`"),
        ({"hosts": [{}]}, "missing required field `name`"),
        ({"hosts": [{"name": "h", "cpus": "4"}]}, "Expected `int`, got `str` - at `$.hosts[0].cpus`"),
        ({"hosts": [{"name": "h", "cpus": -1}]}, "Expected `int` >= 0 - at `$.hosts[0].cpus`"),
        ({"hosts": [{"name": "h", "committed": {"vms": -1}}]}, "at `$.hosts[0].committed.vms`"),
        ({"hosts": [{"name": "h"}, {"name": "h"}]}, "host `h` stands in `hosts` twice: remove one"),
        ({"hosts": [{"name": "a b"}]}, "host"),
        (
            {"load": "cpu and more"},
            "invalid load policy: `cpu and more`; expected cpucommit, netcommit, memload",
        ),
        ({"vms": [{"names": "a["}]}, "unterminated '['"),
        ({"vms": [{"names": ""}]}, "is empty: name its VMs"),
        ({"vms": [{"names": "0"}]}, "invalid number of vms: 0"),
        ({"vms": [{"names": "a[0-999999999]"}]}, "too many names"),
        ({"vms": [{"names": "all"}]}, "all"),
        ({"vms": [{"names": "a,b,a"}]}, "VM `a` is named twice"),
        ({"vms": [{"names": "a"}, {"names": "b,a"}]}, "VM `a` is named twice"),
        ({"vms": [{"names": "a", "coschedule": -2}]}, "Expected `int` >= -1 - at `$.vms[0].coschedule`"),
        ({"vms": [{"names": "a", "schedule": "x"}]}, "which is not in `hosts`: add or correct it"),
        (
            {"hosts": HOSTS, "vms": [{"names": "a", "schedule": "h0", "colocate": "b"}]},
            "cannot specify schedule and colocate",
        ),
    ],
)
def test_what_is_no_document_gets_one_line(plan: Any, document: object, says: str) -> None:
    """Exit code 2, nothing on stdout, and one line that says where and what to do."""
    code, found, err = plan(document)
    assert (code, found) == (2, None)
    assert err.startswith("shoal plan: standard input: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its path; one that cannot be read is named with the reason."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"hosts": HOSTS, "vms": [{"names": "a"}]}), encoding="utf-8")
    assert main([str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["placements"] == {"h0": "a"}
    assert main([str(tmp_path / "none.json")]) == 2
    assert (
        capsys.readouterr().err
        == f"shoal plan: cannot read {tmp_path}/none.json: No such file or directory\n"
    )
    assert main([str(tmp_path)]) == 2
    assert "Is a directory" in capsys.readouterr().err
