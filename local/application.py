"""The application in this process: imported in its environment, and made fit for several invocations at once.

In Lambda a process runs one invocation at a time and one function. Here all functions and the API run in threads of one
process; what an invocation keeps in the process must then be kept per thread.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple

from chalice.app import Chalice

from local.pumps import Handler

FUNCTION_NAMES = ("ingest_events", "tag_users", "project_facts", "sync_campaigns", "expire_campaigns", "run_jobs")


class Application(NamedTuple):
    """The application's handlers by name, and its REST API."""

    handlers: dict[str, Handler]
    chalice: Chalice


class PerThread(MutableMapping[str, Any]):
    """A dictionary of which each thread sees its own."""

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = self._local.__dict__
        return own

    def __getitem__(self, key: str) -> Any:
        return self._own[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._own[key] = value

    def __delitem__(self, key: str) -> None:
        del self._own[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def load_application() -> Application:
    """Import app.py; the process must be in the application's environment already."""
    app = importlib.import_module("app")
    _connect()
    _separate_metrics()
    _log_once()
    return Application({name: getattr(app, name) for name in FUNCTION_NAMES}, app.app)


def _connect() -> None:
    """Make the parts and their clients now, in one thread.

    boto3's default session is not made to be asked for clients by several threads at once.
    """
    from chalicelib import wiring

    forget_parts()
    wiring.ingestion()
    wiring.projector()
    wiring.campaign_sync()
    wiring.expiry()
    wiring.reports()
    wiring.event_queries()
    wiring.cursors()
    wiring.token_verifier()
    wiring.job_runner()
    wiring.export_files()


def forget_parts() -> None:
    """Have the parts made anew when they are next needed: the clients in them lead to one system's port."""
    from chalicelib import wiring

    for part in vars(wiring).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


def _log_once() -> None:
    """Log from the environment's level on, which may have been another when the logger was made.

    Root's handlers, which there are none of in Lambda, would write each line a second time.
    """
    from chalicelib.observability import logger

    logger.setLevel(os.environ["LOG_LEVEL"])
    logging.getLogger(logger.name).propagate = False


def _separate_metrics() -> None:
    """Powertools collects an invocation's metrics in one place of the process and clears it at the end."""
    from chalicelib.observability import metrics

    provider: Any = metrics.provider
    provider.metric_set = PerThread()
    provider.dimension_set = PerThread()
    provider.metadata_set = PerThread()
