"""Records that are set aside: what the failure queue is told, and the operators' command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from chalicelib import wiring
from chalicelib.facts.model import Event, Identity
from chalicelib.keys import Key
from chalicelib.projection.set_aside import LARGEST_MESSAGE, LONGEST_REASON, is_retry, message_of, reason_of
from chalicelib.projection.users import Users
from local.cli import app
from tests.projection.scene import Scene
from tests.reference.shorthand import T, bought

KEYS = {"pk": {"S": "shop#n#jane"}, "sk": {"S": "e#000000000000001#0123"}}


@pytest.mark.parametrize(("size", "whole"), [(100, True), (LARGEST_MESSAGE, False)])
def test_a_message_holds_the_record_as_far_as_a_queue_takes_it(size: int, whole: bool) -> None:
    record = {"dynamodb": {"Keys": KEYS, "SequenceNumber": "7", "NewImage": {"fact": {"S": "x" * size}}}}
    message = message_of("shard-1", record, "because")
    assert len(message.encode()) <= LARGEST_MESSAGE
    told = json.loads(message)
    assert (told["shardId"], told["reason"], told["keys"]) == ("shard-1", "because", KEYS)
    assert told.get("record") == (record["dynamodb"] if whole else None)


def test_a_reason_is_the_cause_in_few_words() -> None:
    failure = RuntimeError("a record cannot be projected")
    failure.__cause__ = ValueError("y" * 10_000)
    assert reason_of(failure).startswith("ValueError: yyy")
    assert len(reason_of(failure)) == LONGEST_REASON
    assert reason_of(KeyError("fact")) == "KeyError: 'fact'"


def test_a_mark_that_brings_back_is_told_from_others() -> None:
    assert is_retry(Key("shop#n#jane", "b#000000000000000#retry-0123"))
    assert not is_retry(Key("shop#n#retry-jane", "b#000000000000000#rebuild"))
    assert not is_retry(Key("shop#n#jane", "e#000000000000001#retry-0123"))


def command(scene: Scene, *options: str) -> Result:
    tables = ["--facts-table", wiring.facts().name, "--views-table", wiring.views().name]
    where = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--region", os.environ["AWS_DEFAULT_REGION"]]
    return CliRunner().invoke(app, ["set-aside", scene.application, *tables, *where, *options])


def test_the_command_lists_and_brings_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    added = Users.event_added

    def with_a_bug(self: Users, user: Identity, event: Event, digest: str) -> Iterator[None]:
        if event.time == T + 1:
            raise ZeroDivisionError("by a bug")
        return added(self, user, event, digest)

    with monkeypatch.context() as patch:
        patch.setattr(Users, "event_added", with_a_bug)
        scene.tell(bought(T), bought(T + 1))
    listed = command(scene)
    assert (listed.exit_code, listed.stderr) == (0, "1 record set aside.\n")
    (line,) = listed.stdout.splitlines()
    assert line.endswith("ZeroDivisionError: by a bug")
    assert scene.report().events_set_aside == 1
    assert command(scene, "--retry").stderr == "1 record will be tried again.\n"
    scene.system.project_all()
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 2}, 0)
    assert command(scene).stderr == "No record is set aside.\n"
