"""What all tests share: `--strict-env`, and a nats-server for each test that asks for one."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from shoal.errors import Unavailable
from shoal.testing import find_nats_server, nats_server

# no deadline for a single example: on a busy machine any of them may have to wait
settings.register_profile("shoal", deadline=None)
settings.load_profile("shoal")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-env",
        action="store_true",
        help="a missing tool or privilege fails a test instead of skipping it",
    )


@pytest.fixture
def need(request: pytest.FixtureRequest) -> Callable[[str, bool], None]:
    """`need("qemu-system-x86_64", ok)`: skip the test when something is missing, or fail under --strict-env."""

    def check(name: str, ok: bool) -> None:
        if ok:
            return
        if request.config.getoption("--strict-env"):
            pytest.fail(f"{name} is missing, and --strict-env allows no skips")
        pytest.skip(f"{name} is missing")

    return check


@pytest.fixture
def nats_url(need: Callable[[str, bool], None]) -> Iterator[str]:
    """The URL of a real nats-server with JetStream of the test's own."""
    try:
        find_nats_server()
    except Unavailable:
        need("nats-server", False)
    with nats_server() as url:
        yield url
