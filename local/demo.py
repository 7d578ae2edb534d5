"""`python -m local demo`: the whole system on a made-up stream, its report, and the checks that it adds up.

Everything that is asked goes the way any client goes: records into Kinesis, figures out of the REST API, bad records
out of S3, campaigns out of Cognito.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from local import reconcile
from local.demo_delivery import Delivery
from local.demo_questions import (
    Campaigns,
    campaigns_in_cognito,
    chosen_example,
    credited,
    quarantined_records,
    register_customers,
)
from local.demo_report import print_application, print_example, print_findings, print_times
from local.kinesis_writer import StreamError
from local.ministack import MiniStackFailed
from local.output import LogFileOption, LogLevelOption, logs_of, own_stdout
from local.rest_client import Api, RestFailed
from local.sentences import said
from local.signals import Ending
from local.simulate import MOST
from local.simulation import Simulation
from local.stack import StackFailed
from local.state_file import NotServing

if TYPE_CHECKING:
    from local.serve import System

PLAIN_WIDTH = 100
"""Columns where the output is no terminal."""
STARTING = "Starting an emulated AWS, the functions and the API."
MOST_SHARDS = 200
REPEATED = 2_000
"""Records that are delivered a second time."""
TROUBLE = (
    *(MiniStackFailed, StackFailed, StreamError, NotServing, RestFailed),
    *(TimeoutError, OSError, ClientError, BotoCoreError),
)


class Stopwatch:
    """Times phases, in the order in which they begin."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, float]] = []

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Time the block."""
        began = time.monotonic()
        yield
        self.laps.append((name, time.monotonic() - began))


def demo_command(
    records: Annotated[int, typer.Option(help="How many records the stream has.", min=1)] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same customers, journeys and chances.")] = 1,
    applications: Annotated[int, typer.Option(help="How many Pinpoint applications.", min=1, max=MOST)] = 2,
    shards: Annotated[int, typer.Option(help="Shards of the event stream.", min=1, max=MOST_SHARDS)] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running after the report, until Ctrl-C.")] = False,
    log_file: LogFileOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Run everything here on generated events, print the report, and check that it adds up.

    Ends with 0 only if all checks hold, with 1 if one does not. The report goes to standard output, progress to
    standard error.
    """
    ending = Ending()
    # Imported here: the other commands need neither Chalice nor the emulator.
    from local.serve import running_system

    errors = Console(stderr=True)
    simulation = Simulation(seed=seed, records=records, applications=applications)
    watch = Stopwatch()
    try:
        with logs_of(log_file, log_level) as logs, own_stdout(logs) as stdout, ExitStack() as opened:
            errors.print(STARTING, style="dim")
            with watch.lap("start"):
                names = simulation.journey_names()
                system = opened.enter_context(running_system(shards=shards, journeys=names, log_level=logs.level.value))
            holds = _demonstrate(system, simulation, watch, terminal(stdout), errors)
            if keep:
                ending.wait(lambda: _say_where(system, simulation, terminal(stdout)), system.check)
    except TROUBLE as error:
        errors.print(f"demo: {said(error)}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if not holds:
        raise typer.Exit(1)


def terminal(stdout: TextIO) -> Console:
    """Where the report goes; a file or a pipe gets lines of `PLAIN_WIDTH` columns, unless COLUMNS says otherwise."""
    console = Console(file=stdout, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def _demonstrate(system: System, simulation: Simulation, watch: Stopwatch, out: Console, errors: Console) -> bool:
    """Send, wait, report and check; whether everything holds."""
    api = Api(system.api, system.tokens["viewer"])
    titles = simulation.application_titles()
    endpoint = system.stack.endpoint
    cognito = system.session.client("cognito-idp", endpoint_url=endpoint)
    s3 = system.session.client("s3", endpoint_url=endpoint)
    campaigns = Campaigns(api, titles, cognito, system.stack.user_pool_id)
    with watch.lap("customers"):
        customers = register_customers(cognito, system.stack.user_pool_id, simulation.usernames())
    with Delivery(system, api, simulation, REPEATED, errors) as delivery:
        with watch.lap("send"):
            sent = delivery.send()
        if not errors.is_terminal:
            errors.print(f"{sent.records:,} records are sent; waiting until all are projected.", style="dim")
        with watch.lap("project"):
            delivery.wait()
    with watch.lap("report"):
        reports = {application: api.report(application) for application in titles}
        listed = {application: credited(api, application) for application in titles}
        example = chosen_example(api, listed)
    copies, malformed = simulation.emitted.duplicates, simulation.emitted.malformed
    out.print(
        f"{sent.records:,} records sent ({copies:,} copies, {malformed:,} malformed) · "
        f"{len(titles)} application{'s' if len(titles) > 1 else ''} · {customers:,} registered customers",
        end="\n\n",
    )
    for application, title in titles.items():
        print_application(out, title, application, reports[application])
    if example:
        print_example(out, example)
    findings = [reconcile.parts_make_the_whole(titles[one], report) for one, report in reports.items()]
    findings += [
        reconcile.all_that_was_sent(sent, reports),
        reconcile.all_credits_are_listed(reports, {one: found.listed for one, found in listed.items()}),
    ]
    with watch.lap("check"):
        quarantined = quarantined_records(s3, system.stack.quarantine_bucket)
        findings.append(reconcile.bad_records_are_set_aside(malformed, sent.unreadable, quarantined))
        findings.append(campaigns_in_cognito(campaigns, simulation))
    with watch.lap("send again"):
        again = delivery.repeat()
        after = {application: api.report(application) for application in titles}
        findings.append(reconcile.nothing_changed(again, reports, after))
    print_findings(out, findings)
    print_times(out, watch.laps)
    return all(finding.holds for finding in findings)


def _say_where(system: System, simulation: Simulation, out: Console) -> None:
    """Where a system that is left running answers."""
    application = next(iter(simulation.journey_names()))
    out.print(Text(f"The API stays at {system.api} until Ctrl-C. For example:"))
    out.print(Text('  eval "$(python -m local env)"'))
    example = f'curl -H "Authorization: Bearer $API_TOKEN" {system.api}/applications/{application}/report'
    out.print(Text(f"  {example}"), soft_wrap=True)
