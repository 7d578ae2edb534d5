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

HANDLERS = {
    "ingest_events": "app.ingest_events",
    "tag_users": "app.tag_users",
    "project_facts": "app.project_facts",
    "sync_campaigns": "app.sync_campaigns",
    "expire_campaigns": "app.expire_campaigns",
    "run_jobs": "app.run_jobs",
    "api_handler": "app.app",
    "check_token": "chalicelib.api.access.check_token",
}
"""By the functions' names in .chalice/config.json."""

PROGRAM = """
import json, re, sys, time
import importlib
before = time.process_time()
importlib.import_module(sys.argv[1])
started = time.process_time()
# Not getrusage: that begins with the memory of the process that started this one.
peak = re.search("VmHWM: *([0-9]+) kB", open("/proc/self/status").read().replace("\\t", " "))
print(json.dumps({
    "started_ms": 1000 * (started - before),
    "memory_mb": int(peak[1]) / 1024,
    "modules": sorted(sys.modules),
}))
"""

ENVIRONMENT = {
    "FACTS_TABLE": "facts",
    "VIEWS_TABLE": "views",
    "QUARANTINE_BUCKET": "quarantine",
    "EXPORT_BUCKET": "exports",
    "JOBS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/jobs",
    "PROJECT_FAILURES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/project-failures",
    "USER_POOL_ID": "us-east-1_customers",
    "MARKETERS_POOL_ID": "us-east-1_marketers",
    "MARKETERS_CLIENT_ID": "client",
}


class ColdStart(NamedTuple):
    """Processor time in milliseconds, peak memory of the process in MB, and what it has imported."""

    started_ms: float
    memory_mb: float
    modules: frozenset[str]


def cold_start(function: str) -> ColdStart:
    """Import a function's handler as Lambda does, which also makes what its first event will ask for."""
    handler = HANDLERS[function]
    environment = isolated(os.environ) | ENVIRONMENT | {"_HANDLER": handler}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, handler.rpartition(".")[0]],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    return ColdStart(told["started_ms"], told["memory_mb"], frozenset(told["modules"]))


def median_of(starts: Sequence[ColdStart]) -> ColdStart:
    """Each figure's own median."""
    return ColdStart(
        statistics.median(one.started_ms for one in starts),
        statistics.median(one.memory_mb for one in starts),
        starts[0].modules,
    )
