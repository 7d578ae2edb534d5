"""The command line of the local system: ``python -m local``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from local.demo import MOST_SHARDS, demo_command
from local.output import LogFileOption, LogLevelOption
from local.quarantine import quarantine_app
from local.rebuild import rebuild_command
from local.replay import replay_command
from local.sentences import said
from local.set_aside import set_aside_command
from local.signals import Ending
from local.simulate import simulate_command
from local.terminal.commands import add_commands

MAY_BE_EMPTY = ("journeys",)
"""Commands in which an empty text takes something away."""


class Program(TyperGroup):
    """The commands, with what holds for the options and arguments of all of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty text: most often it is a shell's variable that is not set, and no folder, id or name."""
        empty = next((one for one in args if not one or (one.startswith("--") and one.endswith("="))), None)
        if empty is not None and args[0] not in MAY_BE_EMPTY:
            named = f"of {empty[:-1]} " if empty else ""
            raise typer.BadParameter(f"the value {named}is empty")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Refuse a text of bytes that are no text, wherever it turns out that it cannot be sent."""
        try:
            return super().invoke(ctx)
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                raise
            raise typer.BadParameter(f"{ascii(error.object)[:100]} is not UTF-8") from error


app = typer.Typer(
    cls=Program,
    help="The whole application on this machine: an emulated AWS, the application's functions and its API.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("simulate")(simulate_command)
app.command("replay")(replay_command)
app.command("rebuild")(rebuild_command)
app.command("set-aside")(set_aside_command)
app.command("demo")(demo_command)
app.add_typer(quarantine_app, name="quarantine")
add_commands(app)


DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep everything in DIR, as it changes. However serve ends, no event, credit or setting that was answered"
        " is lost, and of users and jobs at most the last seconds; a power cut loses what the operating system had not"
        " written yet. Without it nothing outlives serve.",
    ),
]
ServedDataOption = Annotated[Path | None, typer.Option(metavar="DIR", help="The serve with this --data.")]


@app.command()
def serve(
    api_port: Annotated[int, typer.Option(help="Port of the REST API; 0 picks a free one.", min=0, max=65535)] = 0,
    aws_port: Annotated[int, typer.Option(help="Port of the emulated AWS; 0 picks a free one.", min=0, max=65535)] = 0,
    shards: Annotated[
        int, typer.Option(help="Shards of the event stream; a kept one keeps its own.", min=1, max=MOST_SHARDS)
    ] = 2,
    data: DataOption = None,
    journeys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names for the fixture server: {application_id: {journey_id: name}}."),
    ] = None,
    expire_every: Annotated[
        float,
        typer.Option(help="Seconds between two runs of expire_campaigns.", min=0.1, max=86_400),
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where everything is in one line of JSON, as into a pipe or a file.")
    ] = False,
    log_file: LogFileOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Run everything until Ctrl-C.

    When all is ready, standard output says where everything is: in one line of JSON, or on a terminal in a few lines
    with what to do next. All else goes to standard error.
    """
    ending = Ending()
    # Imported here: the other commands need neither Chalice nor the emulator.
    from local.foreground import announce, recovered
    from local.ministack import MiniStackFailed
    from local.output import logs_of, own_stdout
    from local.pinpoint_fixture import BadJourneysFile, load_names
    from local.ports import PortTaken
    from local.serve import running_system
    from local.stack import StackFailed
    from local.state_file import NotServing

    try:
        names = load_names(journeys) if journeys else None
        with (
            logs_of(log_file, log_level) as logs,
            own_stdout(logs) as stdout,
            running_system(
                api_port=api_port,
                aws_port=aws_port,
                shards=shards,
                data=data,
                journeys=names,
                expire_every_s=expire_every,
                log_level=logs.level.value,
            ) as system,
        ):
            if data is not None and system.ministack.unclean is not None:
                print(recovered(data, system.ministack.unclean), file=sys.stderr)
            in_json = as_json or not stdout.isatty()
            ending.wait(lambda: announce(system, stdout, data, as_json=in_json), system.check)
    except (MiniStackFailed, StackFailed, BadJourneysFile, PortTaken, NotServing, OSError) as error:
        raise failed(error) from error


@app.command()
def env(
    data: ServedDataOption = None,
    pid: Annotated[int | None, typer.Option(metavar="PID", help="The serve that is this process.", min=1)] = None,
) -> None:
    """Print the environment of a running serve, for a shell: eval "$(python -m local env)".

    It names the resources, and has the address of the API and tokens of its users: API_TOKEN is an administrator's, as
    API_TOKEN_ADMIN; API_TOKEN_MARKETER and API_TOKEN_VIEWER may do less. Where several serves run, it is the newest's.
    """
    from local.state_file import NotServing, all_served, served, shell_lines

    if data is not None and pid is not None:
        raise typer.BadParameter("give either --data or --pid")
    try:
        found = served(data, pid)
        others = [one.pid for one in all_served() if one.pid != found.pid]
    except NotServing as error:
        raise failed(error) from error
    print(shell_lines(found.environment))
    if others and data is None and pid is None:
        named = ", ".join(map(str, others))
        print(f"Several serves run; this is the newest, process {found.pid}. Others: --pid {named}.", file=sys.stderr)


def failed(error: Exception) -> typer.Exit:
    """Say in one line what is wrong; the exit to raise."""
    print(f"error: {said(error)}", file=sys.stderr)
    return typer.Exit(1)
