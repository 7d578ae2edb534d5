"""`python -m local settings`: read them, save a whole document, and see who changed what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from local.rest_client import Api, path_of
from local.terminal.connection import (
    ApiOption,
    ApplicationArgument,
    JsonOption,
    NoColorOption,
    api_of,
    ending_well,
    pass_through,
)
from local.terminal.screen import screen_of
from local.terminal.settings_layout import print_history, print_settings

STDIN = Path("-")


class _Document(msgspec.Struct):
    """What is needed of a document here; the API checks all of it."""

    version: int | None = None


class _History(msgspec.Struct):
    items: list[dict[str, Any]]
    next_cursor: str | None


def settings_command(
    application: ApplicationArgument,
    document: Annotated[
        Path | None,
        typer.Option("--set", metavar="FILE", help="Save this document, as --json prints it; - is standard input."),
    ] = None,
    if_match: Annotated[
        int | None,
        typer.Option(
            metavar="VERSION", min=0, help="With --set: the version that may be replaced. Default: the document's own."
        ),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Who changed what, and when.")] = False,
    limit: Annotated[int, typer.Option(help="With --history: how many changes.", min=1, max=100)] = 20,
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """Show an application's settings: what holds now, and what is saved and waits.

    To change them: settings APP --json > FILE, edit FILE, settings APP --set FILE. Who changed them meanwhile is not
    overwritten: the version in FILE goes along as If-Match.
    """
    if history and document is not None:
        raise typer.BadParameter("give either --set or --history")
    if if_match is not None and document is None:
        raise typer.BadParameter("--if-match needs --set")
    body = None if document is None else _read(document)
    version = None if body is None else _version(body, if_match)
    screen, source = screen_of(no_color=no_color), api_of(api)
    path = path_of(application, "settings")
    with ending_well():
        if history:
            answer = source.send("GET", f"{path}/history", {"limit": str(limit)})
        elif body is not None:
            answer = source.send("PUT", path, headers={"If-Match": f'"{version}"'}, body=body)
        else:
            answer = source.send("GET", path)
        if as_json:
            pass_through(answer.body)
        elif history:
            found = answer.decoded(_History)
            print_history(screen, application, found.items)
            if found.next_cursor:
                screen.say(f"There are more than these {limit}: --limit N.", "dim")
        else:
            shown: dict[str, Any] = msgspec.json.decode(answer.body)
            print_settings(screen, application, shown)
            if body is not None:
                screen.console.print()
                screen.say(_outcome(shown, version))
                if shown["version"] != version:
                    print_history(screen, application, _newest(source, path))


def _read(path: Path) -> bytes:
    """Raises BadParameter."""
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error


def _version(body: bytes, given: int | None) -> int:
    """The version that the document is a change of. Raises BadParameter."""
    try:
        version = msgspec.json.decode(body, type=_Document).version
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"the document is not one of settings: {error}") from error
    if given is not None:
        return given
    if version is None:
        raise typer.BadParameter("the document has no version: begin with settings APP --json, or give --if-match")
    return version


def _outcome(saved: dict[str, Any], before: int | None) -> str:
    if saved["version"] == before:
        return f"The document changes nothing: it is version {before} still."
    return f"Saved as version {saved['version']}."


def _newest(source: Api, path: str) -> list[dict[str, Any]]:
    return source.send("GET", f"{path}/history", {"limit": "1"}).decoded(_History).items
