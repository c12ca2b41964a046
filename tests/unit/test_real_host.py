"""What a worker says when its machine lacks what it needs."""

import os
import sys

import pytest

from shoal.errors import Unavailable
from shoal_worker.real_host import real_host
from shoal_worker.settings import parse


async def test_missing_privilege_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root the worker names what it needs root for, and what works without."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match=r"needs root .* try --simulate$"):
        await real_host(parse([]), "inc")


@pytest.mark.parametrize(("role", "package"), [("host", "libvirt"), ("edge", "pyroute2")])
async def test_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, role: str, package: str
) -> None:
    """A host needs libvirt, an edge only pyroute2; the extra that brings them is named."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in [name for name in sys.modules if name.startswith("shoal_worker.")]:
        if "libvirt" in name or "netlink" in name:
            monkeypatch.delitem(sys.modules, name)
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unavailable, match=rf"package {package} is missing: `pip install 'shoal\[worker\]'`"):
        await real_host(parse(["--role", role, "--accelerator", "tcg"]), "inc")
