"""Jobs: asked for, looked at, cancelled."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from chalicelib import wiring
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, Problem, operation
from chalicelib.api.cursors import BadCursor
from chalicelib.api.exports import KIND as EXPORT_EVENTS
from chalicelib.api.schemas.jobs import JobAnswer, JobList, JobProgress, JobRequest, JobsQuery, ResultFile
from chalicelib.api.schemas.values import Instant, spell
from chalicelib.jobs.store import (
    LARGEST_REQUEST,
    MOST_ACTIVE,
    Job,
    Overtaken,
    RequestTooLarge,
    TooManyJobs,
    resent,
    submit,
)

LARGEST_RESULT = 4_000_000
"""Bytes of a result within an answer; Lambda's answer takes 6 MB."""

LARGEST_PAGE = 3_000_000
"""Bytes of the jobs in a list after which a page of it ends."""

LINK_LASTS_S = 3_600

NO_JOB = "There is no such job; jobs are kept for 30 days."


@operation(
    routes,
    "POST",
    "/applications/{application}/jobs",
    access="marketer",
    summary="Ask for work that is too long for a request",
    description="The answer tells where to look how far it is.",
    tags=("jobs",),
    body=cast("type", JobRequest),
    answer=JobAnswer,
    status=202,
    errors=(409, 413, 429),
    answer_headers={"Location": "Where the job is, relative to this address"},
    examples={"body": {"kind": "export_events", "from": "2026-03-01", "to": "2026-04-01"}},
)
def post_job(call: Call[None, JobRequest]) -> Answer:
    jobs = wiring.jobs()
    try:
        params = call.body.params(call.application)
    except ValueError as reason:
        raise Problem(400, str(reason)) from reason
    asked = msgspec.json.decode(msgspec.json.encode(call.body, enc_hook=spell), type=dict[str, Any])
    kind = asked.pop("kind")
    asked = {name: value for name, value in asked.items() if value is not None}
    try:
        job = jobs.create(call.application, kind, params, call.caller.subject, call.now, asked)
    except TooManyJobs as full:
        for one in full.jobs:
            resent(jobs, wiring.job_queue(), one, call.now)
        raise Problem(
            429, f"{MOST_ACTIVE} jobs of this application are not over yet; wait for one.", {"Retry-After": "60"}
        ) from full
    except RequestTooLarge as reason:
        raise Problem(413, f"A job may be asked for with {LARGEST_REQUEST // 1000} kB.") from reason
    except Overtaken as reason:
        raise Problem(409, "Others ask for jobs of this application all the time; try again.") from reason
    submit(jobs, wiring.job_queue(), job, call.now)
    # Relative, because the application does not know below which path its API is served.
    return Answer(_shown(job), 202, {"Location": f"jobs/{job.id}"})


@operation(
    routes,
    "GET",
    "/applications/{application}/jobs",
    access="viewer",
    summary="List jobs, newest first",
    tags=("jobs",),
    query=JobsQuery,
    answer=JobList,
)
def get_jobs(call: Call[JobsQuery, None]) -> JobList:
    query = call.query
    bound = {"application": call.application, "of": "jobs"}
    try:
        below = wiring.cursors().decode(query.cursor, bound) if query.cursor else None
    except BadCursor as reason:
        raise Problem(400, f"{reason}.") from reason
    found = wiring.jobs().newest(call.application, query.limit + 1, below)
    page: list[JobAnswer] = []
    size = 0
    for job in found[: query.limit]:
        page.append(_shown(job))
        size += len(msgspec.json.encode(page[-1], enc_hook=spell))
        if size >= LARGEST_PAGE:
            break
    more = len(found) > len(page)
    return JobList(page, wiring.cursors().encode(page[-1].job_id, bound) if more else None)


@operation(
    routes,
    "GET",
    "/applications/{application}/jobs/{job}",
    access="viewer",
    summary="How far a job is, and what it answers",
    tags=("jobs",),
    answer=JobAnswer,
    errors=(404,),
)
def get_job(call: Call[None, None]) -> JobAnswer:
    job = wiring.jobs().get(call.application, call.path["job"])
    if job is None:
        raise Problem(404, NO_JOB)
    job = resent(wiring.jobs(), wiring.job_queue(), job, call.now)
    return _whole(job, exports=call.caller.may("marketer"))


@operation(
    routes,
    "DELETE",
    "/applications/{application}/jobs/{job}",
    access="marketer",
    summary="Cancel a job",
    description="A job that is over stays as it is. Files that an export has written stay until they expire.",
    tags=("jobs",),
    answer=JobAnswer,
    errors=(404, 409),
)
def delete_job(call: Call[None, None]) -> JobAnswer:
    try:
        job = wiring.jobs().cancel(call.application, call.path["job"], call.now)
    except Overtaken as reason:
        raise Problem(409, "The job moves on too fast to be cancelled right now; try again.") from reason
    if job is None:
        raise Problem(404, NO_JOB)
    return _shown(job)


def _whole(job: Job, *, exports: bool) -> JobAnswer:
    """The job with its result, wherever that is; with addresses that open an export's files for those who may export.

    A result in a file is passed on as it is, unless it is too large for an answer.
    """
    shown = _shown(job)
    files = wiring.jobs().files
    if job.result_file and (size := files.size(job.result_file)) > LARGEST_RESULT:
        link = ResultFile(size, files.link(job.result_file, LINK_LASTS_S), LINK_LASTS_S)
        return msgspec.structs.replace(shown, result_file=link)
    result = msgspec.json.decode(files.get(job.result_file)) if job.result_file else job.result
    if exports and result and job.kind == EXPORT_EVENTS:
        result = wiring.export_files().with_links(result)
    return msgspec.structs.replace(shown, result=result)


def _shown(job: Job) -> JobAnswer:
    return JobAnswer(
        job_id=job.id,
        kind=job.kind,
        state=job.state,
        progress=JobProgress(job.done, job.total),
        created=Instant(job.created),
        started=None if job.started is None else Instant(job.started),
        finished=None if job.finished is None else Instant(job.finished),
        requested_by=job.by,
        params=job.asked,
        result=job.result,
        error=job.error,
    )
