"""Which API the commands ask and with what token, and how they end when it does not answer."""

from __future__ import annotations

import os
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

import typer

from local.addresses import NoAddress, address_parts, is_on_this_machine
from local.replay import INTERRUPTED
from local.rest_client import Api, Refused, RestFailed
from local.sentences import said
from local.signals import interruptible
from local.terminal.screen import harmless

TOKEN = "API_TOKEN"  # noqa: S105 - the name of a variable
HOW_TO_GET_A_TOKEN = (
    f"A token is valid for an hour, unless the stack says otherwise. Put a new one into {TOKEN}: of a serve that runs "
    'here with eval "$(python -m local env)", of a deployed API with aws cognito-idp admin-initiate-auth, '
    "as docs/access.md shows."
)
NO_API = "--api is the API's address, such as https://id.execute-api.region.amazonaws.com/api"
TOKEN_EPILOG = (
    f"The access token is read from {TOKEN} and never from an option: a command's arguments can be seen by other users "
    'of the machine. eval "$(python -m local env)" sets it and API_URL for the serve that runs here.'
)

ApplicationArgument = Annotated[str, typer.Argument(metavar="APP", help="The id of the Pinpoint application.")]
ApiOption = Annotated[
    str | None, typer.Option("--api", envvar="API_URL", metavar="URL", help="The API's address: output EndpointURL.")
]
NoColorOption = Annotated[bool, typer.Option("--no-color", help="Without colours, as with NO_COLOR.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The API's own answer, to standard output.")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="A day or an ISO-8601 time, included. Default: no bound.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="A day or an ISO-8601 time, not included. Default: no bound.")
]


def api_of(address: str | None) -> Api:
    """The API at an address, with the environment's token. Raises BadParameter."""
    if not address:
        raise typer.BadParameter('name the API: --api URL or API_URL; eval "$(python -m local env)" sets it')
    try:
        parts = address_parts(address)
    except NoAddress as error:
        raise typer.BadParameter(NO_API) from error
    if parts.query or parts.fragment or parts.username:
        raise typer.BadParameter(NO_API)
    if parts.scheme == "http" and not is_on_this_machine(address):
        raise typer.BadParameter("the token would be sent in the clear: over http only to this machine, else https")
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise typer.BadParameter(f"there is no token. {HOW_TO_GET_A_TOKEN}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise typer.BadParameter(f"{TOKEN} is no token: it holds blanks or characters that none has")
    return Api(address, token)


@contextmanager
def ending_well(again: str = "") -> Iterator[None]:
    """Say in a sentence what is wrong, and end with an exit code; ``again`` says how to go on after Ctrl-C."""
    try:
        with interruptible():
            yield
    except Refused as refusal:
        raise _failed(sentence_of(refusal)) from refusal
    except RestFailed as error:
        raise _failed(str(error)) from error
    except BrokenPipeError as error:
        # The reader has seen enough (| head). What Python still holds for stdout must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from error
    except urllib.error.URLError as error:
        raise _failed(f"the API cannot be reached: {_reason(error)}. Is --api or API_URL its address?") from error
    except TimeoutError as error:
        raise _failed("the API did not answer in time; try again, or ask for less.") from error
    except OSError as error:
        raise _failed(said(error)) from error
    except KeyboardInterrupt as interrupt:
        print(f"stopped; {again}" if again else "stopped", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interrupt


def sentence_of(refusal: Refused) -> str:
    """A problem for people, with the id by which the API's logs know it."""
    detail = refusal.detail if refusal.detail.endswith((".", "!", "?")) else f"{refusal.detail}."
    asked = f" (request {refusal.request_id})" if refusal.request_id else ""
    advice = f"\n{HOW_TO_GET_A_TOKEN}" if refusal.status == HTTPStatus.UNAUTHORIZED else ""
    return f"{detail}{asked}{advice}"


def given(**parameters: str | None) -> dict[str, str]:
    """A query of the parameters that have a value; ``from_`` stands for ``from``."""
    return {name.rstrip("_"): value for name, value in parameters.items() if value is not None}


def pass_through(body: bytes) -> None:
    """An answer as it came, to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body if body.endswith(b"\n") or not body else body + b"\n")
    sys.stdout.buffer.flush()


def _reason(error: urllib.error.URLError) -> str:
    reason = error.reason
    return (reason.strerror or str(reason)) if isinstance(reason, OSError) else str(reason)


def _failed(sentence: str) -> typer.Exit:
    print(f"error: {harmless(sentence)}", file=sys.stderr)
    return typer.Exit(1)
