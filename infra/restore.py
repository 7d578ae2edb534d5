"""Copies from a restored table what its original lacks.

    python -m infra.restore RESTORED ORIGINAL [--application ID]

Without ``--application``: facts. One that is there already is not changed by its copy, since its key is a digest of
its content; one whose time to live has passed is left out. A fact that comes back would be counted again in the views
that counted it before: rebuild each application afterwards. With ``--application``: what the views table cannot
compute of an application (settings, journeys, jobs); items that are there stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from boto3.session import Session
from botocore.exceptions import ClientError

from chalicelib.keys import settings_key
from chalicelib.tables import Table, from_wire

ABSENT = "attribute_not_exists(pk)"

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def copy_facts(client: Any, restored: str, original: str) -> int:
    """Copy all facts that have not expired; how many there are. Copies of what is there change nothing.

    Raises
    ------
    ClientError, Starved
        What is copied by then stays; the same call goes through all again.
    """
    table, copied, now = Table(client, original), 0, int(time.time())
    for page in client.get_paginator("scan").paginate(TableName=restored, ConsistentRead=True):
        items = [from_wire(one) for one in page["Items"]]
        lasting = [one for one in items if int(one.get("ttl", now + 1)) > now]
        table.put_many(lasting)
        copied += len(lasting)
    return copied


def copy_application(client: Any, restored: str, original: str, application: str) -> int:
    """Copy the partition of an application's settings and journeys; how many items were missing.

    Raises
    ------
    ClientError
        What is copied by then stays; the same call copies the rest.
    """
    copied = 0
    for item in _partition(client, restored, settings_key(application).pk):
        try:
            client.put_item(TableName=original, Item=item, ConditionExpression=ABSENT)
        except client.exceptions.ConditionalCheckFailedException:
            continue
        copied += 1
    return copied


def _partition(client: Any, table: str, pk: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("query").paginate(
        TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
    )
    for page in pages:
        yield from page["Items"]


@app.command()
def restore(
    restored: Annotated[str, typer.Argument(help="Table that was restored to a point in time.")],
    original: Annotated[str, typer.Argument(help="Table of the stack.")],
    application: Annotated[str, typer.Option(help="Copy this application's part of a views table.")] = "",
) -> None:
    """Copy from a restored table what its original lacks."""
    client = Session().client("dynamodb")
    try:
        if application:
            print(f"{copy_application(client, restored, original, application)} items were missing, and are copied.")
        else:
            print(f"{copy_facts(client, restored, original)} facts are copied. Now rebuild each application.")
    except ClientError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    app()
