"""The gateway's limits, which hold on this machine as they do where the API is deployed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from chalice.app import Chalice, Response

from local.rest_api import chalice_config, running_rest_api

MOST = 6_291_556


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """An API that answers so many characters, each of which is another one in JSON within JSON."""
    app = Chalice("sizes")

    @app.route("/answers/{kind}/{size}")
    def answer(kind: str, size: str) -> Response:
        character = {"plain": "x", "quoted": '"', "accented": "é"}[kind]
        return Response(character * int(size), {"Content-Type": "text/plain"})

    with running_rest_api(app, chalice_config()) as address:
        yield address


def get(address: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - the address is this test's own
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


@pytest.mark.parametrize(("kind", "bytes_each"), [("plain", 1), ("quoted", 2), ("accented", 6)])
def test_an_answer_that_lambda_does_not_hand_on_is_a_502(kind: str, bytes_each: int, api: str) -> None:
    # Status and headers are in what Lambda measures, too: less than 200 bytes.
    size = (MOST - 200) // bytes_each
    status, _, body = get(f"{api}/answers/{kind}/{size}")
    assert (status, len(body.decode())) == (200, size)
    status, content_type, body = get(f"{api}/answers/{kind}/{size + 200}")
    assert (status, content_type) == (502, "application/problem+json")
    assert json.loads(body)["detail"] == "Internal server error"
