"""One Envoy that the tests of this directory share, with a stub server behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ..support.gateway import Gateway, run_gateway


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with run_gateway(tmp_path_factory.mktemp("envoy"), request_timeout=0.5) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared: Gateway) -> Gateway:
    """The shared Envoy, and a server that has seen nothing yet and answers empty messages."""
    shared.server.calls.clear()
    shared.server.behaviours.clear()
    return shared


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]
