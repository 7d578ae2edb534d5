"""The REST API as ``chalice local`` serves it, in a thread of this process and for many clients at once."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import HTTPServer
from typing import Any
from uuid import uuid4

from chalice import local as chalice_local
from chalice.app import Chalice
from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.deploy.validate import validate_routes

from local.aws_limits import LAMBDA_ANSWER_BYTES
from local.environment import LOOPBACK
from local.stack import PROJECT

logger = logging.getLogger(__name__)

STAGE = "dev"


def chalice_config() -> Config:
    """``.chalice/config.json`` as ``chalice local`` reads it."""
    return CLIFactory(str(PROJECT), environ=os.environ).create_config_obj(chalice_stage_name=STAGE)


class AnswerTooLarge(chalice_local.LocalGatewayException):
    """Lambda hands on no answer of more than 6 MB: to API Gateway the function has failed."""

    CODE = HTTPStatus.BAD_GATEWAY

    def __init__(self) -> None:
        super().__init__({}, b"")


class _Handler(chalice_local.ChaliceRequestHandler):
    # Headers and body are two writes; with Nagle's algorithm the second waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)

    def _handle_binary(self, response: dict[str, Any]) -> dict[str, Any]:
        """The answer before it is sent, if Lambda would hand it on.

        Lambda measures the JSON that its runtime makes of it, up to Python 3.11 in ASCII.
        """
        if len(json.dumps(response)) > LAMBDA_ANSWER_BYTES:
            raise AnswerTooLarge
        return super()._handle_binary(response)

    def _send_error_response(self, error: chalice_local.LocalGatewayException) -> None:
        """What Chalice's gateway answers by itself, in the words of the deployed one."""
        status, detail = _answer_to(error)
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": self.path.partition("?")[0],
            "request_id": error.headers.get("x-amzn-RequestId") or str(uuid4()),
        }
        headers = {"Content-Type": "application/problem+json"}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        self._send_http_response(status, headers, json.dumps(problem))


def _answer_to(error: chalice_local.LocalGatewayException) -> tuple[int, str]:
    """Status and detail, as ``GatewayResponses`` of ``infra/functions.json`` say them."""
    if isinstance(error, AnswerTooLarge):
        return 502, "Internal server error"
    if isinstance(error, chalice_local.NotAuthorizedError):
        return 401, "A valid access token is needed."
    if isinstance(error, chalice_local.InvalidAuthorizerError):
        return 503, "Tokens cannot be checked at the moment; try again."
    if error.headers.get("x-amzn-ErrorType") == "AccessDeniedException":
        return 403, "The token's bearer may not do this."
    # Like API Gateway, Chalice takes a request without a route for one that lacks its signature.
    return 404, "There is no such resource, or not with this method."


class _Server(chalice_local.ThreadedHTTPServer):
    # The default of 5 lets a burst of clients wait for the kernel's retries.
    request_queue_size = 128


@contextmanager
def running_rest_api(app: Chalice, config: Config, port: int = 0) -> Iterator[str]:
    """Serve the API on loopback for the time of the block; its address.

    Raises OSError if the port is taken, and what ``chalice local`` raises for bad routes.
    """
    validate_routes(app.routes)
    _make_local(app)
    server: HTTPServer = chalice_local.LocalDevServer(app, config, LOOPBACK, port, _Handler, _Server).server
    thread = threading.Thread(target=server.serve_forever, name="rest-api", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _make_local(app: Chalice) -> None:
    """Give each thread its own current request, as ``chalice.local.create_local_server`` does; that works only once."""
    if not isinstance(app, chalice_local.LocalChalice):
        chalice_local.CustomLocalChalice.__bases__ = (chalice_local.LocalChalice, app.__class__)
        app.__class__ = chalice_local.CustomLocalChalice
