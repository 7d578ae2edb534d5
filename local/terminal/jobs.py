"""Jobs asked for over the API, and waited for with a bar on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.api.schemas.jobs import JobAnswer, JobList
from chalicelib.api.schemas.values import parse
from local.rest_client import Api, path_of

OVER = ("done", "failed", "cancelled")
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0


def asked(api: Api, application: str, kind: str, params: Mapping[str, object]) -> JobAnswer:
    """A new job. Raises as `Api`."""
    # Decimals as numbers: the API's schema takes no text for them.
    body = msgspec.json.Encoder(decimal_format="number").encode({"kind": kind, **params})
    return api.send("POST", path_of(application, "jobs"), body=body).decoded(JobAnswer, parse)


def looked_at(api: Api, application: str, job: str) -> JobAnswer:
    """A job as it is now. Raises as `Api`."""
    return api.send("GET", path_of(application, "jobs", job)).decoded(JobAnswer, parse)


def listed(api: Api, application: str, limit: int) -> JobList:
    """The newest jobs. Raises as `Api`."""
    return api.send("GET", path_of(application, "jobs"), {"limit": str(limit)}).decoded(JobList, parse)


def waited(
    api: Api,
    application: str,
    job: JobAnswer,
    *,
    console: Console | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> JobAnswer:
    """The job when it is over, asked for ever less often. Raises as `Api`; Ctrl-C leaves the job running."""
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    wait = FIRST_WAIT_S
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(job.kind, total=None)
        while True:
            total = job.progress.done if job.state == "done" else job.progress.total
            progress.update(task, completed=job.progress.done, total=total, description=f"{job.kind}: {job.state}")
            if job.state in OVER:
                return looked_at(api, application, job.job_id)
            sleep(wait)
            wait = min(LONGEST_WAIT_S, wait * 1.5)
            job = looked_at(api, application, job.job_id)
