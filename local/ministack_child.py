"""The child process: MiniStack, which dies with the process that started it.

Run as a script with the interpreter's ``-I``, so that neither the project's modules nor PYTHONPATH can shadow
MiniStack's. The parent holds the other end of standard input; when it is gone, however it ended, the read ends.
"""

import copy
import functools
import os
import runpy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from ministack import app as ministack
from ministack.core import responses, router
from ministack.services import dynamodb, kinesis

PINPOINT = "mobiletargeting"
"""By the name in its signatures: the one service that is asked here and that MiniStack does not have."""


def die_with_parent() -> None:
    """Kill this process, without saving, when the parent is gone: with kept data, the journal has what counts."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    # The parent made it and can no longer delete it.
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)


def refuse_what_aws_refuses() -> None:
    """Enforce AWS's limits. Their module is loaded by its path: ``-I`` hides the project's modules."""
    runpy.run_path(str(Path(__file__).with_name("aws_limits.py")))["enforce"]()


_copy_of_anything = copy.deepcopy
_expire = kinesis._expire_records


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """What ``copy.deepcopy`` makes, and of JSON in a quarter of the time."""
    if type(value) is dict and memo is None:
        return {name: one if type(one) is str else copied(one) for name, one in value.items()}
    if type(value) is list and memo is None:
        return [copied(one) for one in value]
    return _copy_of_anything(value, memo)


def expire_if_any(stream: Any) -> None:
    """Drop a stream's records that are too old; looks at the first of each shard, where they stand as they came."""
    since = time.time() - stream["RetentionPeriodHours"] * 3600
    shards = stream["shards"].values()
    if any(one["records"] and one["records"][0]["ApproximateArrivalTimestamp"] < since for one in shards):
        _expire(stream)


def measured_once(size_of: Callable[[Any], int], most: int = 1_000) -> Callable[[Any], int]:
    """``size_of`` with its results cached by object: MiniStack replaces stored items, it never changes them."""
    known: dict[int, tuple[Any, int]] = {}

    def size(item: Any) -> int:
        found = known.get(id(item))
        if found is None or found[0] is not item:
            if len(known) >= most:
                known.clear()
            found = known[id(item)] = (item, size_of(item))
        return found[1]

    return size


def spend_less() -> None:
    """Answer the same in less time: most of what the tables took was copying, measuring and spelling out items.

    MiniStack copies an item several times a write with ``copy.deepcopy``, which is made for more than JSON; it measures
    an item several times whenever it reads or writes it, and parses a condition anew for each item it is held to. At
    each read of a stream it looks through all that the stream keeps for records that are too old. Of a service that it
    does not have it reads the models of all that AWS has, for seconds, to find out whether there is such a one.
    """
    tokens = functools.lru_cache(10_000)(dynamodb._tokenize)
    setattr(copy, "deepcopy", copied)  # noqa: B010 - its type says more than is asked of it
    setattr(responses, "json", SimpleNamespace(dumps=lambda data, **_: msgspec.json.encode(data).decode()))  # noqa: B010
    dynamodb._tokenize = lambda expression: list(tokens(expression))
    dynamodb._condition_syntax_error = functools.lru_cache(10_000)(dynamodb._condition_syntax_error)
    dynamodb._item_size_bytes = measured_once(dynamodb._item_size_bytes)
    dynamodb._number_size_bytes = functools.lru_cache(100_000)(dynamodb._number_size_bytes)
    kinesis._expire_records = expire_if_any
    router._KNOWN_AWS_SERVICE_NAMES = frozenset({PINPOINT})


def keep_a_journal() -> None:
    """Write kept data as they change."""
    install = runpy.run_path(str(Path(__file__).with_name("ministack_journal.py")))["install"]
    install(Path(os.environ["STATE_DIR"]))


if __name__ == "__main__":
    refuse_what_aws_refuses()
    spend_less()
    if os.environ["PERSIST_STATE"] == "1":
        keep_a_journal()
    threading.Thread(target=die_with_parent, name="die-with-parent", daemon=True).start()
    ministack.main()
