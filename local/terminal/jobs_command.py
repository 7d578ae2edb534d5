"""`python -m local jobs`: list them, ask for an export, look at one, wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from local.terminal.connection import (
    ApiOption,
    ApplicationArgument,
    FromOption,
    JsonOption,
    NoColorOption,
    ToOption,
    api_of,
    ending_well,
    given,
    pass_through,
)
from local.terminal.screen import NONE, Screen, amount, moment, screen_of, table_of

if TYPE_CHECKING:
    from chalicelib.api.schemas.jobs import JobAnswer


def jobs_command(
    application: ApplicationArgument,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Show this one. Default: list the newest.")] = None,
    export: Annotated[
        bool, typer.Option("--export", help="Ask for an export of credited events; needs a marketer's token.")
    ] = False,
    start: FromOption = None,
    end: ToOption = None,
    journey: Annotated[str | None, typer.Option(metavar="ID", help="With --export: only this journey's.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is over; the exit code is 1 if it fails.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many are listed.", min=1, max=100)] = 20,
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """List an application's jobs, ask for an export of its events, or wait for a job."""
    import msgspec

    from chalicelib.api.schemas.values import spell
    from local.terminal.jobs import asked, listed, looked_at, waited

    _check(job, wait=wait, export=export, narrowed=bool(start or end or journey))
    screen, source = screen_of(no_color=no_color), api_of(api)
    with ending_well():
        if not export and job is None:
            found = listed(source, application, limit)
            if as_json:
                pass_through(msgspec.json.encode(found, enc_hook=spell))
            else:
                print_jobs(screen, application, found.items)
            return
        if export:
            one = asked(source, application, "export_events", given(from_=start, to=end, journey_id=journey))
        else:
            one = looked_at(source, application, job or "")
        again = f"jobs {application} {one.job_id} --wait"
        if wait:
            with ending_well(again=f"the job goes on: {again}"):
                one = waited(source, application, one)
        if as_json:
            pass_through(msgspec.json.encode(one, enc_hook=spell))
        else:
            print_job(screen, one)
            if export and not wait:
                screen.say(f"To wait for it: {again}", "dim")
        if wait and one.state != "done":
            raise typer.Exit(1)


def _check(job: str | None, *, wait: bool, export: bool, narrowed: bool) -> None:
    """Raises BadParameter for options that do not go together."""
    if export and job is not None:
        raise typer.BadParameter("give either a JOB or --export")
    if wait and not export and job is None:
        raise typer.BadParameter("--wait needs a JOB or --export")
    if narrowed and not export:
        raise typer.BadParameter("--from, --to and --journey go with --export")


def print_jobs(screen: Screen, application: str, jobs: Sequence[JobAnswer]) -> None:
    """A line a job, newest first."""
    screen.say(f"Jobs of {application}, newest first", "bold")
    if not jobs:
        screen.say("There are none; they are kept for 30 days.", "dim")
        return
    table = table_of(2)
    for heading in ("Job", "Asked for", "Kind", "State"):
        table.add_column(heading, no_wrap=heading != "Kind", overflow="fold")
    table.add_column("Done", justify="right", no_wrap=True)
    for one in jobs:
        table.add_row(
            screen.text(one.job_id),
            moment(one.created.spelled()),
            screen.text(one.kind),
            screen.text(one.state, _style(one)),
            _done(one),
        )
    screen.console.print(table)


def print_job(screen: Screen, job: JobAnswer) -> None:
    """Everything of one; addresses of files in full, so that they can be copied."""
    screen.say(f"Job {job.job_id}: {job.kind}, {job.state}, {_done(job)} done", "bold")
    for name, at in (("asked for", job.created), ("started", job.started), ("over", job.finished)):
        if at is not None:
            screen.say(f"{name:<10} {moment(at.spelled())} UTC")
    for name, value in job.params.items():
        screen.say(f"{name:<10} {value}")
    if job.error:
        screen.say(job.error, "red")
    if job.kind != "export_events" or job.result is None:
        return
    result = job.result
    worth = ", ".join(amount(value, currency) for currency, value in sorted(result["revenue"].items()))
    screen.say(f"{'events':<10} {result['events']:,}" + (f", worth {worth}" if worth else ""))
    screen.say(f"{'files':<10} {result['file_count']:,}, gzipped newline-delimited JSON, below")
    screen.console.print(screen.text(f"s3://{result['bucket']}/{result['prefix']}"), soft_wrap=True)
    if "links" in result:
        screen.say("--json has addresses that open them for an hour.", "dim")


def _done(job: JobAnswer) -> str:
    total = "" if job.progress.total is None else f" of {job.progress.total:,}"
    return f"{job.progress.done:,}{total}" if job.progress.done or total else NONE


def _style(job: JobAnswer) -> str:
    return {"failed": "red", "done": "green"}.get(job.state, "")
