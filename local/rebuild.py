"""`python -m local rebuild`: all views of an application anew from its facts, while the old ones serve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.rebuild import NotRebuilding, Rebuilder
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Starved, Table
from chalicelib.times import SystemClock
from local.quarantine_store import Account, QuarantineError
from local.sentences import said
from local.state_file import NotServing, served

LOOKED_EVERY_S = 0.5


def rebuild_command(
    application: Annotated[str, typer.Argument(help="The application's id.")],
    drop: Annotated[
        bool, typer.Option("--drop", help="Give up a rebuild that is under way, and delete its work.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Only delete views that are no longer served, if any were left.")
    ] = False,
    facts_table: Annotated[str | None, typer.Option(help="Default: that of the serve that runs here.")] = None,
    views_table: Annotated[str | None, typer.Option(help="Default: that of the serve that runs here.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint of AWS. Default: AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="The region. Default: as boto3 finds it.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data directory of the serve that runs here.")
    ] = None,
) -> None:
    """Make all views of an application anew from its facts, while the old ones serve; then switch in one step.

    It serves after a setting was backdated, a rule was mended or a change record was lost. The projection must be
    running. Interrupted, it goes on when it is run again; with --drop it is given up. Views that are no longer served
    are deleted at its end; if that is interrupted, the next run, or one with --finish, does it.
    """
    console = Console(stderr=True)
    if drop and finish:
        raise typer.BadParameter("--drop deletes what --finish would, too: give one of them")
    try:
        facts, views = tables_of(facts_table, views_table, endpoint_url, region, data)
        store = SettingsStore(views)
        rebuilder = Rebuilder(facts, views, store, SystemClock(), lambda: time.sleep(LOOKED_EVERY_S))
        if drop:
            rebuilder.drop(application)
            console.print("The rebuild is dropped; the views that were served are served.")
            return
        if finish:
            rebuilder.finish(application)
            console.print("Only views that are served, or being rebuilt, are left.")
            return
        _run(rebuilder, application, console)
    except NotRebuilding as error:
        console.print(f"error: no rebuild of {application} is under way", markup=False, highlight=False)
        raise typer.Exit(1) from error
    except (NotServing, QuarantineError, Starved, ClientError, BotoCoreError) as error:
        console.print(f"error: {said(error)}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _run(rebuilder: Rebuilder, application: str, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("users and aliases", total=None)
        for step in rebuilder.rebuild(application):
            progress.update(task, total=max(step.marked, 1), completed=step.built)
        if progress.tasks[task].total == 1 and progress.tasks[task].completed == 0:
            progress.update(task, description="no facts of this application")
    console.print("The rebuilt views are served.")


def tables_of(
    facts: str | None, views: str | None, endpoint: str | None, region: str | None, data: Path | None
) -> tuple[Table, Table]:
    """The tables of facts and views that options name, else those of the ``serve`` that runs here.

    Raises
    ------
    typer.BadParameter
        The options do not fit together.
    NotServing
        None are named, and none runs here.
    """
    if (facts is None) != (views is None):
        raise typer.BadParameter("name both tables, or neither: --facts-table and --views-table")
    if facts is None and (endpoint is not None or region is not None):
        raise typer.BadParameter("--endpoint-url and --region say where tables are: name them too")
    if facts is None or views is None:
        environment = served(data).environment
        facts, views = environment["FACTS_TABLE"], environment["VIEWS_TABLE"]
        endpoint, region = environment["AWS_ENDPOINT_URL"], environment["AWS_DEFAULT_REGION"]
    client = Account(endpoint, region).tables()
    return Table(client, facts), Table(client, views)
