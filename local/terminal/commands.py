"""The commands that ask a deployed API, as one group of `python -m local --help`."""

from __future__ import annotations

from collections.abc import Callable

import typer

from local.terminal.compare_command import compare_command
from local.terminal.connection import TOKEN_EPILOG
from local.terminal.events_command import events_command, users_command
from local.terminal.jobs_command import jobs_command
from local.terminal.journeys_command import journeys_command
from local.terminal.report_command import report_command
from local.terminal.settings_command import settings_command

PANEL = "Ask any deployed API"


def add_commands(app: typer.Typer) -> None:
    """Add them; each tells in its help where the token comes from."""
    commands: dict[str, Callable[..., None]] = {
        "report": report_command,
        "journeys": journeys_command,
        "events": events_command,
        "users": users_command,
        "settings": settings_command,
        "compare": compare_command,
        "jobs": jobs_command,
    }
    for name, command in commands.items():
        app.command(name, epilog=TOKEN_EPILOG, rich_help_panel=PANEL)(command)
