"""What `import shoal` offers, and what it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import shoal
from shoal.client import Client, Command, Events, Listing, NamespaceHandle, VMHandle
from shoal.errors import ShoalError

#: what must not be imported by who only wants the client
HEAVY = {"structlog", "rich", "prompt_toolkit", "libvirt", "pyroute2", "prometheus_client", "shoal.cli"}


def public(kind: type) -> set[str]:
    """The public names that a class itself defines, and those that its objects get when they are made."""
    return {name for name in vars(kind) if not name.startswith("_")}


def test_the_surface_is_this_list() -> None:
    """The names of the package are these: adding or removing one is a decision."""
    assert shoal.__all__ == [
        *("Client", "Command", "Conflict", "Damaged", "DiskSpec", "Events", "EventsGone", "InvalidRequest"),
        *("Listing", "NamespaceGone", "NamespaceHandle", "NetSpec", "NotFound", "OtherVersion"),
        *("PermissionDenied", "PlanChanged", "Refused", "ShoalError", "StoreUnavailable", "TimedOut"),
        *("Unavailable", "Unplaceable", "UsageError", "VMConfig", "VMHandle", "connect"),
    ]


def test_every_name_is_there_and_explained() -> None:
    """Each name can be taken from the package, and has a docstring; so has each public method of the client."""
    for name in shoal.__all__:
        assert inspect.getdoc(getattr(shoal, name)), name
    for kind in (Client, NamespaceHandle, VMHandle, Command, Listing, Events):
        for name in public(kind):
            assert inspect.getdoc(getattr(kind, name)), f"{kind.__name__}.{name}"


def test_the_methods_are_these() -> None:
    """The methods of the client and its handles are these, and no more."""
    assert public(Client) == {
        *("call", "check", "close", "events", "files", "hosts", "items", "namespace", "namespaces"),
    }
    assert public(NamespaceHandle) == {
        *("call", "clear", "create", "events", "flush", "hosts", "items", "kill", "launch", "schedule"),
        *("start", "stop", "vm", "vms", "wait"),
    }
    assert public(VMHandle) == {
        *("events", "flush", "kill", "launch", "row", "start", "stop", "wait"),
    }
    assert public(Events) == {"aclose", "behind", "position"}


def test_every_error_that_a_caller_can_act_on_is_there() -> None:
    """Every class of error is public."""

    def below(kind: type[ShoalError]) -> set[type[ShoalError]]:
        return {kind, *(found for sub in kind.__subclasses__() for found in below(sub))}

    ours = {kind.__name__ for kind in below(ShoalError) if kind.__module__ == "shoal.errors"}
    assert ours <= set(shoal.__all__)


def imported(program: str) -> set[str]:
    """What a Python of its own has imported after a program."""
    end = "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program + end], capture_output=True, check=True)
    return set(json.loads(ran.stdout))


def test_importing_the_package_imports_next_to_nothing() -> None:
    """`import shoal` brings one module of ours, and neither asyncio nor anything foreign."""
    ours = {name for name in imported("import shoal") if name.split(".")[0].startswith("shoal")}
    assert ours == {"shoal"}
    added = {name.split(".")[0] for name in imported("import shoal") - imported("pass")}
    assert not added & {"asyncio", "nats", "msgspec", "msgpack", "logging", *HEAVY}


def test_using_the_client_imports_no_daemon_and_no_terminal() -> None:
    """All public names together need neither libvirt, pyroute2, rich nor structlog."""
    found = imported("import shoal; [getattr(shoal, name) for name in shoal.__all__]")
    assert not HEAVY & found
    assert not {name for name in found if name.startswith(("shoal_worker", "shoal_orchestrator"))}
