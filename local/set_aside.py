"""`python -m local set-aside`: change records that could not be projected, and how they are brought back."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from chalicelib.projection.set_aside import SetAsideRecords
from local.quarantine_store import QuarantineError
from local.rebuild import tables_of
from local.sentences import said
from local.state_file import NotServing


def set_aside_command(
    application: Annotated[str | None, typer.Argument(help="Only the records of this application.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Make the projection try them again.")] = False,
    facts_table: Annotated[str | None, typer.Option(help="Default: that of the serve that runs here.")] = None,
    views_table: Annotated[str | None, typer.Option(help="Default: that of the serve that runs here.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint of AWS. Default: AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="The region. Default: as boto3 finds it.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data directory of the serve that runs here.")
    ] = None,
) -> None:
    """List change records that could not be projected, with the reasons; with --retry, bring them back.

    Their events are missing from totals until they are brought back. A record that fails again stays set aside. The
    projection must be running.
    """
    console = Console(stderr=True)
    try:
        facts, views = tables_of(facts_table, views_table, endpoint_url, region, data)
        records = SetAsideRecords(facts, views)
        number = 0
        for one in records.all():
            if application in (None, one.application):
                number += 1
                print(f"{one.fact.pk}  {one.fact.sk}  {one.reason}")
                if retry:
                    records.retry(one, uuid.uuid4().hex)
    except (NotServing, QuarantineError, ClientError, BotoCoreError) as error:
        console.print(f"error: {said(error)}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    counted = f"{number:,} record{'' if number == 1 else 's'}"
    done = f"{counted} will be tried again." if retry else f"{counted} set aside."
    console.print(done if number else "No record is set aside.", highlight=False)
