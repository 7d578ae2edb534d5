"""Fixtures shared by all tests: one MiniStack a session, with the application's tables on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import HealthCheck, Phase, settings

from local.environment import isolated
from local.stack import LocalStack

_without_the_users_aws = isolated(os.environ)
os.environ.clear()
os.environ.update(_without_the_users_aws)
os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
os.environ.setdefault("LOG_LEVEL", "ERROR")

_load_file = JSONFileLoader.load_file
_loaded: dict[object, Any] = {}


def _load_once(loader: JSONFileLoader, path: str) -> Any:
    """The models of AWS's services, read once a process: what a client takes longest for, and tests make many."""
    if path not in _loaded:
        _loaded[path] = _load_file(loader, path)
    return _loaded[path]


setattr(JSONFileLoader, "load_file", _load_once)  # noqa: B010 - stubs take it for a bound method

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
settings.register_profile("quick", max_examples=20, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.register_profile("deep", max_examples=5_000, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.register_profile("round", max_examples=250, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.register_profile(
    "look", max_examples=300, deadline=None, suppress_health_check=_SLOW, phases=(Phase.generate,), print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The application's resources on a MiniStack of this session's own, and the environment that leads there."""
    # Imported late: the application's modules read the environment that is made above.
    from tests.support.stacks import own_stack

    with own_stack() as made:
        yield made
