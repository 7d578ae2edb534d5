"""What `serve` says when it is ready: to a program where everything is, to a person what to do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from local.ministack import Unclean
from local.serve import System
from local.simulation import Simulation


def announce(system: System, output: TextIO, data: Path | None, *, as_json: bool) -> None:
    """Say that everything is ready: in one line of JSON, or to a terminal in a few lines."""
    lines = [json.dumps(system.describe())] if as_json else next_steps(system, data)
    print("\n".join(lines), file=output, flush=True)


def next_steps(system: System, data: Path | None) -> list[str]:
    """What somebody at a terminal can do with a system that has just started."""
    where = "" if data is None else f" --data {data}"
    kept = "Nothing is kept when it ends; --data DIR keeps it." if data is None else f"{data} keeps it."
    return [
        f"The API is at {system.api}, the emulated AWS at {system.stack.endpoint}. {kept}",
        "In another terminal, from this folder; env sets API_TOKEN and API_TOKEN_ADMIN, _MARKETER and _VIEWER:",
        f'  eval "$(.venv/bin/python -m local env{where})"',
        '  .venv/bin/python -m local simulate --stream "$EVENT_STREAM" --endpoint-url "$AWS_ENDPOINT_URL"',
        f"  .venv/bin/python -m local report {next(iter(Simulation().journey_names()))}",
        "Ctrl-C ends it.",
    ]


def recovered(data: Path, unclean: Unclean) -> str:
    """What became of a data directory whose last system was killed."""
    return (
        f"{data}: last saved at {unclean.saved:%Y-%m-%dT%H:%M:%SZ}; stopped uncleanly. All events, credits and settings"
        " are there; changes of users and jobs in the last seconds before may be missing."
    )
