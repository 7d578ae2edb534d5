"""The application's resources on a MiniStack, and the environment that leads the application there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from local.environment import process_environment
from local.ministack import running_ministack
from local.stack import LocalStack, connect, ensure_stack
from tests.support.system import clear_wiring


@contextmanager
def own_stack() -> Iterator[LocalStack]:
    """A fresh MiniStack with the application's resources, for the time of the block."""
    with running_ministack() as ministack:
        made = ensure_stack(ministack.endpoint, shards=2)
        expire_nothing(made)
        with process_environment({**os.environ, **made.environment(ministack.endpoint, log_level="ERROR")}):
            clear_wiring()
            yield made
            clear_wiring()


def expire_nothing(stack: LocalStack) -> None:
    """Switch expiry off: tests set the application's clock to another year than the emulator's.

    What the application marks as kept for three days would be swept away in the next minute.
    """
    dynamodb = connect(stack.endpoint, stack.region).client("dynamodb", endpoint_url=stack.endpoint)
    for table in (stack.facts_table, stack.views_table):
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "ttl"}
        )
