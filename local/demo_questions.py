"""What the demo asks of the running system, as any client of it would: of the API, of S3, of Cognito."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from local.demo_report import Example
from local.reconcile import Finding, Listed, campaigns_are_in_cognito
from local.rest_client import Api, Event
from local.simulation import Simulation
from local.simulation.chance import seeded

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_s3 import S3Client

AT_ONCE = 8
"""Requests at a time."""
SAMPLED = 120
"""Users whose campaign is looked for in Cognito."""
ATTRIBUTE = "custom:campaign"
BLANKED_WITHIN_S = 15.0
"""By then a window that ended in the middle of the comparison is blank in Cognito too."""
CANDIDATES = 25


class Credited(NamedTuple):
    """The credited events of an application added up, and a few that may serve as example."""

    listed: Listed
    candidates: list[Event]


def register_customers(cognito: CognitoIdentityProviderClient, pool: str, names: Iterable[str]) -> int:
    """Create users in the pool; how many."""

    def register(name: str) -> None:
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")

    with ThreadPoolExecutor(AT_ONCE) as workers:
        return sum(1 for _ in workers.map(register, names))


def credited(api: Api, application: str) -> Credited:
    """All credited events of an application, page by page."""
    candidates: list[Event] = []

    def passing() -> Iterator[Event]:
        for event in api.credited(application):
            if len(candidates) < CANDIDATES and _may_serve(event):
                candidates.append(event)
            yield event

    return Credited(Listed(passing()), candidates)


def _may_serve(event: Event) -> bool:
    clicked = event.touch is not None and event.touch.kind == "email.click"
    return clicked and event.user is not None and event.value is not None and event.value > 0


def chosen_example(api: Api, found: Mapping[str, Credited]) -> Example | None:
    """A credited purchase of a user who was touched by other journeys before; else any candidate."""
    spare: Example | None = None
    for application, credited_events in found.items():
        for event in credited_events.candidates:
            example = _explained(api, application, event)
            if example is None:
                continue
            journeys = [touch.journey_id for touch in example.touches]
            if len(set(journeys)) > 1 and len(journeys) <= 6:
                return example
            spare = spare or example
    return spare


def _explained(api: Api, application: str, event: Event) -> Example | None:
    """The event as the history of its user tells it, with the reason; None if it is too far back there."""
    history = api.history(application, event.user or "")
    if history is None:
        return None
    same = (event.time, event.event_type, event.journey_id, event.value)
    told = (one for one in history.events if (one.time, one.event_type, one.journey_id, one.value) == same)
    explained = next(told, None)
    return Example(explained, history) if explained else None


def quarantined_records(s3: S3Client, bucket: str) -> int:
    """How many records were set aside. One that a retried batch set aside twice counts once."""
    found = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            for line in body.splitlines():
                record = json.loads(line)
                found.add((record["source"], record["shard"], record["sequence"]))
    return len(found)


class Campaigns:
    """Users' campaigns, by the API and in Cognito; without one it is the empty name."""

    def __init__(
        self, api: Api, applications: Iterable[str], cognito: CognitoIdentityProviderClient, pool: str
    ) -> None:
        self._api = api
        self._applications = list(applications)
        self._cognito = cognito
        self._pool = pool

    def told(self, user: str) -> list[str]:
        """By the API: in each application that has touched the user; if none has, the empty name alone."""
        histories = [self._api.history(one, user) for one in self._applications]
        names = [one.campaign.name if one.campaign else "" for one in histories if one and one.touches]
        return names or [""]

    def stored(self, user: str) -> str:
        """In Cognito."""
        attributes = self._cognito.admin_get_user(UserPoolId=self._pool, Username=user)["UserAttributes"]
        return next((one.get("Value", "") for one in attributes if one["Name"] == ATTRIBUTE), "")


def campaigns_in_cognito(campaigns: Campaigns, simulation: Simulation) -> Finding:
    """The attribute of some users against their campaign by the API.

    A user has one attribute, whichever application writes it: only users are compared whom no more than one
    application has touched.
    """
    names = list(simulation.usernames())
    seeded(simulation.seed, "sample").shuffle(names)
    sample = names[:SAMPLED]
    deadline = time.monotonic() + BLANKED_WITHIN_S
    with ThreadPoolExecutor(AT_ONCE) as workers:
        told = dict(zip(sample, workers.map(campaigns.told, sample), strict=True))
        expected = {user: by_application[0] for user, by_application in told.items() if len(by_application) == 1}
        actual = dict(zip(expected, workers.map(campaigns.stored, expected), strict=True))
    while differing := [user for user, name in expected.items() if actual[user] != name]:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
        expected |= {user: campaigns.told(user)[0] for user in differing}
        actual |= {user: campaigns.stored(user) for user in differing}
    return campaigns_are_in_cognito(expected, actual)
