"""Handles on a namespace and on a VM: names and a client, with what programs do often as methods.

Refuses to know how requests are sent. What has no method here is a class of `shoal.messages`, for `call` and `items`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shoal import subjects
from shoal.client.events import Events, EventSource
from shoal.client.pending import Command, Listing, ProgressCallback
from shoal.client.waiting import Waiting
from shoal.codec import error_of
from shoal.core.names import check_namespace, check_vm
from shoal.core.ranges import expand, fold
from shoal.core.vmconfig import VMConfig
from shoal.errors import NotFound
from shoal.messages.base import Page, Reply, Request
from shoal.messages.desired import State
from shoal.messages.hosts import HostRow, ListHosts
from shoal.messages.namespaces import ClearNamespace, CreateNamespace, NamespaceCleared, NamespaceReady
from shoal.messages.schedule import Launched, Schedule
from shoal.messages.vms import Changed, FlushVMs, KillVMs, LaunchVMs, ListVMs, StartVMs, StopVMs, VMRow

if TYPE_CHECKING:
    from shoal.client.connection import Client

#: it is there again as soon as it was removed
DEFAULT_NAMESPACE = "minimega"
#: names that are asked for one by one; for more than that, all are listed
MOST_NAMES = 16 * 1024

R = TypeVar("R", bound=Reply)
T = TypeVar("T")


class NamespaceHandle:
    """A namespace of a cluster. Cheap: nothing is sent until a method is called, and it need not exist."""

    def __init__(self, client: Client, source: EventSource, name: str) -> None:
        self.client = client
        self.name = check_namespace(name)
        self._source = source

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"

    def vm(self, name: str) -> VMHandle:
        """A handle on one VM; nothing is sent yet, and it need not exist. InvalidRequest for what is no name."""
        return VMHandle(self, self._source, name)

    # --- any command -------------------------------------------------------------------------------------

    def call(
        self,
        request: Request[R],
        *,
        timeout_s: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> Command[R]:
        """Send a command to this namespace; see `Client.call`."""
        return self.client.call(request, namespace=self.name, timeout_s=timeout_s, progress=progress)

    def items(self, request: Request[Page[T]]) -> Listing[T]:
        """The rows of a list of this namespace; see `Client.items`."""
        return self.client.items(request, namespace=self.name)

    # --- the namespace itself ----------------------------------------------------------------------------

    def create(self) -> Command[NamespaceReady]:
        """Create the namespace if it is new; the reply says whether it was."""
        return self.call(CreateNamespace(name=self.name))

    def clear(self, *, progress: ProgressCallback | None = None) -> Command[NamespaceCleared]:
        """Kill and forget all that is in the namespace, and the namespace itself. NotFound when there is none."""
        return self.call(ClearNamespace(name=self.name), progress=progress)

    def hosts(self) -> Listing[HostRow]:
        """The namespace's hosts with their capacity and load."""
        return self.items(ListHosts())

    def events(self, *, since: int | None = None) -> Events:
        """Events of this namespace, which need not exist yet; see `Client.events`."""
        watched = "" if self.name == DEFAULT_NAMESPACE else self.name
        return Events(self._source, subjects.events(self.name), since=since, namespace=watched)

    # --- its VMs -----------------------------------------------------------------------------------------

    def launch(
        self, names: str, config: VMConfig | None = None, *, progress: ProgressCallback | None = None
    ) -> Command[Launched]:
        """Launch VMs (a name, a range or a number) with `config`, or with the namespace's working one.

        They are created paused (BUILDING). Conflict when names are taken: all of them are in the error's `names`, and
        its `details` say by whom. Unplaceable when there is no room: nothing was launched. VMs that failed on their
        hosts are in the reply's `failures`.
        """
        return self.call(LaunchVMs(names=names, spec=config), progress=progress)

    def schedule(self, *, force: bool = False, progress: ProgressCallback | None = None) -> Command[Launched]:
        """Place and launch all queued VMs."""
        return self.call(Schedule(force=force), progress=progress)

    def start(self, target: str = "all") -> Command[Changed]:
        """Let VMs run. A named one that has ended is launched again.

        Returns when each of them runs or has failed: those that failed are in the reply's `failures`.
        """
        return self.call(StartVMs(target=target))

    def stop(self, target: str = "all") -> Command[Changed]:
        """Pause VMs."""
        return self.call(StopVMs(target=target))

    def kill(self, target: str) -> Command[Changed]:
        """End VMs; `all` has to be said."""
        return self.call(KillVMs(target=target))

    def flush(self, target: str = "") -> Command[Changed]:
        """Forget VMs that are in QUIT or ERROR."""
        return self.call(FlushVMs(target=target))

    def vms(self, names: str = "") -> Listing[VMRow]:
        """The namespace's VMs by id, or those of a range of names that are there."""
        return self.items(ListVMs(names=names))

    async def wait(self, target: str, state: State, *, timeout_s: float | None) -> list[VMRow]:
        """Wait until every VM of `target` (a range of names) is in `state`; those too that are not there yet.

        TimedOut after `timeout_s` seconds (None: never; 0: after one look) says in `details` how each of them is instead;
        NotFound when the namespace is not there, or goes. Cancelling it stops the waiting, and nothing else.
        """
        names = [name for name in dict.fromkeys(expand(target)) if name]
        asked = fold(names)

        async def look() -> list[VMRow]:
            return await self.vms(asked if len(asked) <= MOST_NAMES else "")

        events = Events(self._source, subjects.vm_events(self.name))
        return await Waiting(names, state, look=look, events=events, where=self.name).wait(timeout_s)


class VMHandle:
    """A VM of a namespace, by its name.

    There is only the one: what failed for it is raised, where a namespace's methods have it in `failures`.
    """

    def __init__(self, namespace: NamespaceHandle, source: EventSource, name: str) -> None:
        self.namespace = namespace
        self.name = check_vm(name)
        self._source = source

    def __repr__(self) -> str:
        return f"<vm {self.name} of namespace {self.namespace.name}>"

    def _alone(self, request: Request[R]) -> Command[R]:
        """Send a command about this VM; what failed for it is raised."""

        async def run(note: ProgressCallback) -> R:
            reply = await self.namespace.call(request, progress=note)
            for failure in reply.failures:
                raise error_of(failure)
            return reply

        return Command(run)

    async def row(self) -> VMRow:
        """How it is now. NotFound when there is no such VM."""
        for row in await self.namespace.vms(self.name):
            return row
        raise NotFound(f"vm not found: {self.name}", names=(self.name,))

    def launch(self, config: VMConfig | None = None) -> Command[Launched]:
        """Launch it; see `NamespaceHandle.launch`. Refused when it failed on its host."""
        return self._alone(LaunchVMs(names=self.name, spec=config))

    def start(self) -> Command[Changed]:
        """Let it run; launch it again if it has ended. Conflict if it runs.

        Returns when it runs. Raises Refused, with the host's reason, when it failed instead.
        """
        return self._alone(StartVMs(target=self.name))

    def stop(self) -> Command[Changed]:
        """Pause it."""
        return self._alone(StopVMs(target=self.name))

    def kill(self) -> Command[Changed]:
        """End it."""
        return self._alone(KillVMs(target=self.name))

    def flush(self) -> Command[Changed]:
        """Forget it, when it is in QUIT or ERROR."""
        return self._alone(FlushVMs(target=self.name))

    async def wait(self, state: State, *, timeout_s: float | None) -> VMRow:
        """Wait until it is in `state`; see `NamespaceHandle.wait`."""
        [row] = await self.namespace.wait(self.name, state, timeout_s=timeout_s)
        return row

    def events(self, *, since: int | None = None) -> Events:
        """Events of this VM; see `Client.events`."""
        return Events(self._source, subjects.vm_events(self.namespace.name, self.name), since=since)
