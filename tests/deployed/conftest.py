"""One deployment for all tests of this folder that need one, which use applications of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployed.deployment import Deployment, build, deployment


@pytest.fixture(scope="package")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The application as ``make package`` builds it, deployed; its streams are delivered."""
    with deployment(build(tmp_path_factory.mktemp("deployed"))) as made, made.pumping():
        yield made
