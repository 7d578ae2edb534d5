"""Fixtures of tests on the real tables, with metrics and logs switched on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chalice.local import LambdaContext

from chalicelib.observability import logger, metrics
from tests.observability.emitted import Handlers
from tests.projection.scene import Scene, clock, scene, system

__all__ = ["clock", "scene", "system"]


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Metrics are written, and everything is logged that Lambda would log, and more."""
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "false")
    before = logger.log_level
    logger.setLevel("DEBUG")
    metrics.clear_metrics()
    yield
    logger.setLevel(before)
    metrics.clear_metrics()


@pytest.fixture
def handlers(scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Handlers:
    # The test client pretends functions of three seconds; half a minute lets the sync work, and give up soon.
    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _context: 30_000)
    # What other tests left unprojected is not to be counted in this one.
    scene.system.project_all()
    metrics.clear_metrics()
    capsys.readouterr()
    return Handlers(scene, capsys)
