"""Tests of the local system: simulator, replay and what stands in for Lambda."""
