"""A user pool, views and names in the test's hands, and change records of campaigns as the views' stream tells them.

Time is virtual: it moves only by what somebody waits.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from chalicelib.attribution.touches import Touch
from chalicelib.campaigns.cognito import CognitoCampaigns, PacedWriter, bucket_for
from chalicelib.campaigns.sync import CampaignSync, Synced
from chalicelib.facts.model import Identity, IdentityKind
from chalicelib.keys import Key, ViewKeys, settings_key
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Item, from_wire, key_of, to_wire
from tests.reference.shorthand import WEEK, T

Json = dict[str, Any]

ATTRIBUTE = "custom:campaign"
_sequence = itertools.count(100)


class Time:
    """Seconds since the test began; also the application's clock."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float, /) -> None:
        assert seconds >= 0
        self.seconds += seconds

    def now(self) -> int:
        return T + int(self.seconds * 1000)

    def deadline(self, seconds: float = 300) -> Callable[[], int]:
        """What Lambda's context says in an invocation that begins now."""
        end = self.seconds + seconds
        return lambda: int((end - self.seconds) * 1000)


class AtOnce(Executor):
    """Calls what it is given before it returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Pool:
    """Cognito with a few users, and its quota: more than 25 calls in any second, refused ones counted too, throttle.

    Parameters
    ----------
    trouble
        Code and message that it answers for a user with, instead of the write.
    takes
        Seconds that a call takes.
    """

    def __init__(
        self,
        users: Iterable[str],
        *,
        time: Time | None = None,
        trouble: dict[str, tuple[str, str]] | None = None,
        takes: float = 0.0,
    ) -> None:
        self.campaigns: dict[str, str | None] = dict.fromkeys(users)
        self.writes: list[tuple[str, str]] = []
        self.throttled = 0
        self.busiest = 0
        self.time = time or Time()
        self.trouble = trouble or {}
        self.calls = 0
        self.is_throttling: Callable[[], bool] = lambda: False
        self.before_call: Callable[[], None] = lambda: None
        self._takes = takes
        self._last_second: deque[float] = deque()

    def admin_update_user_attributes(self, UserPoolId: str, Username: str, UserAttributes: list[Json]) -> Json:  # noqa: N803 - boto3's own names
        self.before_call()
        self.calls += 1
        self._meter()
        self.time.seconds += self._takes
        if Username in self.trouble:
            raise error(*self.trouble[Username])
        if Username not in self.campaigns:
            raise error("UserNotFoundException", f"User {Username} does not exist.")
        (attribute,) = UserAttributes
        assert attribute["Name"] == ATTRIBUTE
        self.campaigns[Username] = attribute["Value"]
        self.writes.append((Username, attribute["Value"]))
        return {}

    def _meter(self) -> None:
        now = self.time.seconds
        # A rounding error short of a second is a second.
        while self._last_second and self._last_second[0] <= now - 1 + 1e-9:
            self._last_second.popleft()
        self._last_second.append(now)
        self.busiest = max(self.busiest, len(self._last_second))
        if len(self._last_second) > 25 or self.is_throttling():
            self.throttled += 1
            raise error("TooManyRequestsException", "Too many requests")

    def throttle_from_call(self, call: int) -> None:
        self.is_throttling = lambda: self.calls >= call

    def recover(self) -> None:
        self.is_throttling = lambda: False


def error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "AdminUpdateUserAttributes")


class Views:
    """The campaigns as they stand now, in the place of the table."""

    def __init__(self) -> None:
        self._items: dict[Key, Item] = {}
        self.reads = 0

    def apply(self, record: Json) -> None:
        """What the change record tells of has happened."""
        change = record["dynamodb"]
        key = key_of(from_wire(change["Keys"]))
        if "NewImage" in change:
            self._items[key] = from_wire(change["NewImage"])
        else:
            self._items.pop(key, None)

    def serve(self, application: str, generation: int) -> None:
        """A rebuild has switched to a generation."""
        self.keep(application, Settings(generation=generation))

    def keep(self, application: str, settings: Settings) -> None:
        """The settings are these."""
        key, document = settings_key(application), msgspec.json.encode(settings).decode()
        self._items[key] = {"pk": key.pk, "sk": key.sk, "version": 1, "schema": 2, "document": document}

    def get(self, key: Key) -> Item | None:
        return self._items.get(key)

    def query(self, pk: str) -> list[Item]:
        """The items of a partition, in order."""
        return [item for key, item in sorted(self._items.items()) if key.pk == pk]

    def put_many(self, items: Sequence[Item]) -> None:
        self._items.update({key_of(item): item for item in items})

    def delete_many(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._items.pop(key, None)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        wanted = list(keys)
        self.reads += bool(wanted)
        return {key: self._items[key] for key in wanted if key in self._items}


class Names:
    """Journeys' names; a journey without one goes by its id, unless it is one of those that nobody named."""

    def __init__(self, *nobody_named: str, **names: str) -> None:
        self.nobody_named = set(nobody_named)
        self._names = names
        self.asked: list[tuple[str, str]] = []

    def name(self, application: str, journey: str) -> str | None:
        self.asked.append((application, journey))
        return None if journey in self.nobody_named else self._names.get(journey, journey)


class Sync:
    """The sync under test. What is delivered has happened in the views, unless they are given."""

    def __init__(self, pool: Pool | None, names: Names | None = None, views: Views | None = None) -> None:
        self.time = pool.time if pool else Time()
        self._views = views
        self.views = views or Views()
        writer = None
        if pool:
            cognito = CognitoCampaigns(pool, "pool", ATTRIBUTE)  # type: ignore[arg-type]
            writer = PacedWriter(cognito, bucket_for(20, self.time), AtOnce())
        settings = SettingsStore(self.views)  # type: ignore[arg-type]
        self.part = CampaignSync(self.views, settings, writer, names or Names(), self.time, self.time)  # type: ignore[arg-type]

    def __call__(self, records: Sequence[Json], seconds: float = 300) -> Synced:
        """One delivery, to a function that has so many seconds."""
        if self._views is None:
            for record in records:
                self.views.apply(record)
        return self.part.sync(records, self.time.deadline(seconds))


def campaign(journey: str | None, *, is_open: bool = True, at: int = T) -> Campaign:
    """A user's campaign in the views; a journey of None where no touch is left."""
    touch = None if journey is None else Touch(at, "email.click", "email", journey, at + WEEK, "d")
    return Campaign(touch, open=is_open and touch is not None)


def changed(
    user: str,
    before: Campaign | None,
    after: Campaign | None,
    *,
    kind: IdentityKind = "n",
    application: str = "app",
    seconds: float = 0,
    generation: int = 0,
) -> Json:
    """The change record of a user's campaign; None: the item was not there before, or is not after."""
    keys, identity = ViewKeys(application, generation), Identity(kind, user)
    key = keys.campaign(identity)

    def image(campaign: Campaign | None) -> Item | None:
        return campaign_item(keys, identity, campaign) if campaign else None

    return change({"pk": key.pk, "sk": key.sk}, image(before), image(after), seconds)


def change(key: Item, before: Item | None, after: Item | None, seconds: float = 0) -> Json:
    """A change record of any item of the views, made so many seconds after ``T``."""
    made = T / 1000 + seconds
    body: Json = {"Keys": to_wire(key), "SequenceNumber": str(next(_sequence)), "ApproximateCreationDateTime": made}
    if before is not None:
        body["OldImage"] = to_wire(before)
    if after is not None:
        body["NewImage"] = to_wire(after)
    return {"eventName": "MODIFY", "dynamodb": body}


def sequence(record: Json) -> str:
    return str(record["dynamodb"]["SequenceNumber"])
