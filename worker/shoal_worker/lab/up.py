"""`shoal up`: this machine as a cluster of one host, in the foreground.

NATS, orchestrator and a worker that is head and host at once. Their end is ours, guests run on unless asked
otherwise. This module refuses to know what the daemons do.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.client import connect
from shoal.core import names
from shoal.errors import ShoalError
from shoal.messages.namespaces import ClearNamespace
from shoal_worker.lab.cluster import Cluster, Stopped, say, wait_for_hosts
from shoal_worker.lab.guard import guarded
from shoal_worker.lab.layout import Layout
from shoal_worker.lab.nats_servers import NatsServer
from shoal_worker.lab.preconditions import find_programs, listen, open_state
from shoal_worker.lab.processes import write_json

if TYPE_CHECKING:
    from shoal_worker.lab.preconditions import State
    from shoal_worker.lab.settings import UpSettings

_LOCAL = "127.0.0.1"
_CLEAR_S = 120.0


def run_up(settings: UpSettings) -> int:
    """Run until Ctrl-C (0) or signal n (128 + n). Raises ShoalError for what is missing, fails or ends by itself."""
    programs = find_programs(simulate=settings.simulate, namespaces=False)
    host = names.check_host(socket.gethostname())
    cluster_id = f"{random.SystemRandom().getrandbits(24):06x}"
    with listen(settings.port) as listening:  # says before anything is started that the port is taken
        port = listening.getsockname()[1]
    state = open_state(settings.state, cluster_id)
    with guarded(cluster_id, state):
        layout = Layout(lab=cluster_id, state=state.path, programs=programs)
        return asyncio.run(_run(replace(settings, port=port), layout, host, state))


async def _run(settings: UpSettings, layout: Layout, host: str, state: State) -> int:
    url = ""
    async with Cluster(layout) as cluster:
        try:
            url = await cluster.during(_start(cluster, settings, host))
            await cluster.during(wait_for_hosts(url, [host], settings.timeout_s))
            await cluster.during(cluster.follow_leader(url))
            cluster.started(ends_alone=False)
            say(_summary(settings, host, url, state), sys.stdout)
            await cluster.during(asyncio.Event().wait())
        except Stopped as stopped:
            code = 0 if stopped.number == signal.SIGINT else 128 + stopped.number
            return await _clear(url) or code if settings.clean and url else code
        return 0


async def _start(cluster: Cluster, settings: UpSettings, host: str) -> str:
    layout = cluster.layout
    url = await cluster.start_nats([NatsServer(1, _LOCAL, settings.port)], host=host)
    _write(settings, layout, host, url)
    cluster.processes.start(layout.orchestrator(url, host))
    worker = (
        layout.simulated_workers(url, [host], host, head_worker=True)
        if settings.simulate
        else layout.machine_worker(url, host, settings.accelerator)
    )
    cluster.processes.start(worker)
    return url


async def _clear(url: str) -> int:
    """Kill and forget all that the cluster has; the exit code."""
    say("shoal: clearing all namespaces")
    try:
        async with connect(url, name="shoal-up") as client:
            await client.call(ClearNamespace(name="all"), timeout_s=_CLEAR_S)
    except ShoalError as error:
        say(f"shoal: not everything could be cleared: {error.message}")
        return 1
    return 0


def _write(settings: UpSettings, layout: Layout, host: str, url: str) -> None:
    """Write lab.json, in the form that a lab's has."""
    written = {
        "lab": layout.lab,
        "pid": os.getpid(),
        "simulate": settings.simulate,
        "state": str(layout.state),
        "url": url,
        "inner_url": url,
        "head": host,
        "hosts": [host],
        "network": "",
        "namespaces": {},
        "addresses": {},
    }
    write_json(layout.state / "lab.json", written)


def _summary(settings: UpSettings, host: str, url: str, state: State) -> str:
    end = "stops it, and ends its guests" if settings.clean else "stops it; guests run on"
    return "\n".join(
        (
            f"Shoal is up on {host}: NATS, an orchestrator and a{' simulated' if settings.simulate else ''} worker",
            f"  NATS    {url}",
            f"  state   {state.path}",
            f"  logs    {state.path / 'logs'}",
            "Use it from another terminal:",
            *(() if settings.port == 4222 else (f"  export NATS_URL={url}",)),
            "  shoal",
            f"Ctrl-C here {end}.",
        )
    )
