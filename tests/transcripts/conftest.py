"""One simulated cluster for all transcripts; each begins with no namespace but the default one."""

import asyncio
import contextlib

import pytest

from shoal.testing import cluster

HOSTS = "mm[0-3],host[1-10],host50"


@pytest.fixture(scope="session")
def simulated_url():
    """The URL of a cluster with the hosts of the source document's examples."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        context = cluster(HOSTS)
        running = runner.run(context.__aenter__())
        stack.callback(lambda: runner.run(context.__aexit__(None, None, None)))
        yield running.url
