"""Records of a scene that are set aside: what the failure queue is told, and how they are brought back."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from chalicelib import clients, wiring
from chalicelib.projection.set_aside import SetAside, SetAsideRecords
from tests.projection.scene import Scene


def failures(scene: Scene) -> list[dict[str, Any]]:
    """The messages of a scene's records in the failure queue; they are in it no longer."""
    sqs, url = clients.sqs(), os.environ["PROJECT_FAILURES_QUEUE_URL"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
    return [one for one in found if one["keys"]["pk"]["S"].startswith(quote(scene.application, safe="") + "#")]


def set_aside_of(scene: Scene) -> Iterator[SetAside]:
    """What is set aside of a scene's records."""
    stored = SetAsideRecords(wiring.facts(), wiring.views()).all()
    return (one for one in stored if one.application == scene.application)


def bring_back(scene: Scene) -> None:
    """As the operator's command does."""
    for one in set_aside_of(scene):
        SetAsideRecords(wiring.facts(), wiring.views()).retry(one, uuid.uuid4().hex)
    scene.system.project_all()
