"""Fixtures of tests on the real tables."""

from tests.projection.scene import clock, scene, system

__all__ = ["clock", "scene", "system"]
