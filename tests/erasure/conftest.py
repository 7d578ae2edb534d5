"""Fixtures of tests on the real tables: two people of whom no other test knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import LocalStack
from tests.erasure.people import Person
from tests.projection.scene import Scene, clock, scene, system
from tests.reference.shorthand import T
from tests.support.clock import SetClock
from tests.support.stacks import own_stack

__all__ = ["clock", "scene", "system"]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """A MiniStack of a module's own: what is left of a person is looked for in all items of both tables."""
    with own_stack() as made:
        yield made


@pytest.fixture
def jane(scene: Scene, clock: SetClock) -> Person:
    clock.time = T
    return Person(scene, "jane")


@pytest.fixture
def joe(scene: Scene) -> Person:
    return Person(scene, "joe")
