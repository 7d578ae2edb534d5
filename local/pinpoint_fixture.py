"""The fixture server: answers Pinpoint's GetJourney from a table of names.

Not an emulation of Pinpoint. It says for a known journey what GetJourney said, and 404 for all others.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from local.environment import LOOPBACK

Names = dict[str, dict[str, str]]
"""Names of journeys by application id and journey id."""

CREATED = "2026-01-01T00:00:00.000Z"
JOURNEY_PATH_PARTS = 5


class BadJourneysFile(Exception):
    """The file of journeys is not {application_id: {journey_id: name}}."""


class FixtureServer:
    """The fixture server on a free port of loopback; ``names`` may be changed while it runs."""

    def __init__(self, names: Names | None = None) -> None:
        self.names: Names = names if names is not None else {}
        self.requests = 0
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.fixture = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="pinpoint-fixture", daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def name(self, application: str, journey: str, name: str) -> None:
        """Make a journey known."""
        self.names.setdefault(application, {})[journey] = name

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, object]]:
        """Status and body for the path of a request."""
        self.requests += 1
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        if len(parts) == JOURNEY_PATH_PARTS and parts[:2] == ["v1", "apps"] and parts[3] == "journeys":
            name = self.names.get(parts[2], {}).get(parts[4])
            if name is not None:
                return HTTPStatus.OK, _journey(parts[2], parts[4], name)
        return HTTPStatus.NOT_FOUND, {"Message": "Resource not found", "RequestID": str(uuid.uuid4())}


def _journey(application: str, journey: str, name: str) -> dict[str, object]:
    return {
        "ApplicationId": application,
        "Id": journey,
        "Name": name,
        "State": "ACTIVE",
        "CreationDate": CREATED,
        "LastModifiedDate": CREATED,
        "LocalTime": False,
    }


class _Server(ThreadingHTTPServer):
    fixture: FixtureServer
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        status, body = self.server.fixture.answer(self.path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.NOT_FOUND:
            self.send_header("x-amzn-ErrorType", "NotFoundException")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: lookups are cached and of no interest."""


def load_names(path: Path) -> Names:
    """Names of journeys from a JSON file.

    Raises
    ------
    BadJourneysFile
        It cannot be read, or has another shape.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadJourneysFile(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadJourneysFile(f"{path}: {error}") from error
    if not isinstance(content, dict) or not all(_is_names(journeys) for journeys in content.values()):
        raise BadJourneysFile(f"{path}: expected {{application_id: {{journey_id: name}}}}")
    return content


def _is_names(journeys: object) -> bool:
    return isinstance(journeys, dict) and all(isinstance(name, str) for name in journeys.values())


@contextmanager
def running_fixture_server(names: Names | None = None) -> Iterator[FixtureServer]:
    """The fixture server for the time of the block."""
    server = FixtureServer(names)
    server.start()
    try:
        yield server
    finally:
        server.stop()
