"""The command line of the local system: ``python -m local``."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from local.demo import demo_command
from local.quarantine import quarantine_app
from local.rebuild import rebuild_command
from local.replay import replay_command
from local.simulate import simulate_command
from local.terminal.commands import add_commands

app = typer.Typer(
    help="The whole application on this machine: an emulated AWS, the application's functions and its API.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("simulate")(simulate_command)
app.command("replay")(replay_command)
app.command("rebuild")(rebuild_command)
app.command("demo")(demo_command)
app.add_typer(quarantine_app, name="quarantine")
add_commands(app)


class LogLevel(StrEnum):
    """Of the application and its system."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


DataOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep everything in DIR; without it nothing outlives serve.")
]


@app.command()
def serve(
    api_port: Annotated[int, typer.Option(help="Port of the REST API; 0 picks a free one.", min=0, max=65535)] = 0,
    aws_port: Annotated[int, typer.Option(help="Port of the emulated AWS; 0 picks a free one.", min=0, max=65535)] = 0,
    shards: Annotated[int, typer.Option(help="Shards of the event stream; a kept one keeps its own.", min=1)] = 2,
    data: DataOption = None,
    journeys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names for the fixture server: {application_id: {journey_id: name}}."),
    ] = None,
    expire_every: Annotated[float, typer.Option(help="Seconds between two runs of expire_campaigns.", min=0.1)] = 5.0,
    log_level: Annotated[
        LogLevel, typer.Option(help="What the application logs to standard error.", case_sensitive=False)
    ] = LogLevel.WARNING,
) -> None:
    """Run everything until Ctrl-C.

    When all is ready, one line of JSON on standard output says where everything is. All else goes to standard error.
    """
    # Imported here: the other commands need neither Chalice nor the emulator.
    from local.foreground import announce, stay, stopped_by_signals
    from local.ministack import MiniStackFailed
    from local.output import own_stdout
    from local.pinpoint_fixture import BadJourneysFile, load_names
    from local.serve import running_system
    from local.stack import StackFailed

    configure_logging(log_level)
    try:
        names = load_names(journeys) if journeys else None
        with (
            own_stdout() as stdout,
            stopped_by_signals(),
            running_system(
                api_port=api_port,
                aws_port=aws_port,
                shards=shards,
                data=data,
                journeys=names,
                expire_every_s=expire_every,
                log_level=log_level.value,
            ) as system,
        ):
            announce(system, stdout)
            stay(system)
    except (MiniStackFailed, StackFailed, BadJourneysFile, OSError) as error:
        raise failed(error) from error


@app.command()
def env(data: DataOption = None) -> None:
    """Print the environment of a running serve, for a shell: eval "$(python -m local env)".

    serve leaves it in DIR/serve.json; without --data, where temporary files are, in journey-attribution-UID/serve.json.
    """
    from local.state_file import NotServing, served, shell_lines

    try:
        print(shell_lines(served(data).environment))
    except NotServing as error:
        raise failed(error) from error


def configure_logging(level: LogLevel) -> None:
    """Log to standard error: the local system's own messages from INFO on, all others from ``level`` on."""
    logging.basicConfig(
        stream=sys.stderr, level=level.value, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("local").setLevel(min(logging.INFO, logging.getLevelName(level.value)))
    for library in ("boto3", "botocore", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)


def failed(error: Exception) -> typer.Exit:
    """Say in one line what is wrong; the exit to raise."""
    print(f"error: {error}", file=sys.stderr)
    return typer.Exit(1)
