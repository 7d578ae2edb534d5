"""A MiniStack of these tests' own: its index queries look at all items of a table, also at other tests'."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import LocalStack
from tests.projection.scene import clock, scene, system
from tests.support.stacks import own_stack

__all__ = ["clock", "scene", "stack", "system"]


@pytest.fixture(scope="package")
def stack() -> Iterator[LocalStack]:
    with own_stack() as made:
        yield made
