"""A function's cold start, measured: what Lambda does before the first event, in a fresh process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from local.environment import isolated
from local.stack import PROJECT

PARTS = {
    "ingest_events": ("ingestion",),
    "tag_users": ("ingestion",),
    "project_facts": ("projector",),
    "sync_campaigns": ("campaign_sync",),
    "expire_campaigns": ("expiry",),
    "run_jobs": ("job_runner",),
    "check_token": ("token_verifier",),
    "app": ("settings", "reports"),
}
"""Handlers in app.py, and what ``wiring`` makes for the first event of each; ``app`` is that of the REST API."""

PROGRAM = """
import json, resource, sys, time
import importlib
before = time.process_time()
app = importlib.import_module("app")
imported = time.process_time()
from chalicelib import wiring
for part in sys.argv[1:]:
    getattr(wiring, part)()
made = time.process_time()
print(json.dumps({
    "import_ms": 1000 * (imported - before),
    "parts_ms": 1000 * (made - imported),
    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "modules": sorted(sys.modules),
}))
"""

ENVIRONMENT = {
    "FACTS_TABLE": "facts",
    "VIEWS_TABLE": "views",
    "QUARANTINE_BUCKET": "quarantine",
    "EXPORT_BUCKET": "exports",
    "JOBS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/jobs",
    "USER_POOL_ID": "us-east-1_customers",
    "MARKETERS_POOL_ID": "us-east-1_marketers",
    "MARKETERS_CLIENT_ID": "client",
}


class ColdStart(NamedTuple):
    """Processor time in milliseconds, peak memory of the process in MB, and what it has imported."""

    import_ms: float
    parts_ms: float
    memory_mb: float
    modules: frozenset[str]


def cold_start(handler: str, parts: Sequence[str] = ()) -> ColdStart:
    """Import app.py as Lambda does for one handler, and make these parts."""
    environment = isolated(os.environ) | ENVIRONMENT | {"_HANDLER": f"app.{handler}"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *parts],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(run.stdout)
    return ColdStart(told["import_ms"], told["parts_ms"], told["memory_mb"], frozenset(told["modules"]))


def median_of(starts: Sequence[ColdStart]) -> ColdStart:
    """Each figure's own median."""
    middle = [statistics.median(one[figure] for one in starts) for figure in range(3)]
    return ColdStart(middle[0], middle[1], middle[2], starts[0].modules)
