"""Fixtures that the workflow's engine is tested with."""

from tests.integration.engine.conftest import skipping_time, stage

__all__ = ["skipping_time", "stage"]
