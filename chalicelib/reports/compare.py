"""Attribution models side by side: how each of them shares a period's credited events among the journeys.

Events come from the journeys' indexes in pieces, and for each piece the touches of its users are read, once a user. So
memory is bounded, and between two pieces all there is to keep are a place in an index and a sum for each journey and
model: a large period is a job of many steps. Sums are exact; they are rounded when they are shown, and not before.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import msgspec

from chalicelib.attribution.models import (
    LONGEST_HALF_LIFE_MS,
    LONGEST_PATH,
    MODELS,
    SHORTEST_HALF_LIFE_MS,
    Model,
    path_of,
    weights_of,
)
from chalicelib.attribution.touches import Touch
from chalicelib.facts.model import Identity
from chalicelib.jobs.store import asked
from chalicelib.journeys.registry import Registry
from chalicelib.keys import LAST, ViewKeys, padded, parse_user_partition
from chalicelib.projection.views import Credit, credit_from, touch_from
from chalicelib.reports.comparison import Comparison, comparison_of, places_of
from chalicelib.reports.credited import CreditedEvents
from chalicelib.reports.job_results import result_of
from chalicelib.reports.shares import JourneySums, Shares
from chalicelib.settings.model import LONGEST_WINDOW_DAYS
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Item, Table
from chalicelib.times import DAY_MS, LAST_MS

KIND = "compare"

PIECE = 400
"""Events that are looked at together."""

MOST_TOUCHES = 2_000
"""Touches of a user that are read for an event, the newest."""
TOUCH_PAGE = 600

STEP_S = 2.0
QUERIES_AT_ONCE = 8
LONGEST_WINDOW_MS = int(LONGEST_WINDOW_DAYS) * DAY_MS


class TooManyEvents(Exception):
    """The period holds more than can be compared while a caller waits."""


class Question(msgspec.Struct, frozen=True):
    """What is compared: credited events with ``start <= time < end`` (ms UTC), of one type or of all."""

    application: str
    start: int = msgspec.field(name="from", default=0)
    end: int = msgspec.field(name="to", default=LAST_MS + 1)
    event_type: str | None = None
    half_life_days: Decimal = Decimal(7)
    models: tuple[Model, ...] = MODELS

    @property
    def half_life(self) -> int:
        """In milliseconds."""
        return int((self.half_life_days * DAY_MS).to_integral_value())

    def flaw(self) -> str | None:
        """Why it cannot be answered, as a sentence for the caller."""
        if self.start >= self.end:
            return "to must be later than from; from is included, to is not."
        days = self.half_life_days
        # A number with a huge exponent is not to be multiplied out.
        if not days.is_finite() or not 0 < days <= 90 or self.half_life < SHORTEST_HALF_LIFE_MS:
            return f"half_life_days must be from 0.0417 (an hour) to {LONGEST_HALF_LIFE_MS // DAY_MS}."
        if not self.models or len(set(self.models)) != len(self.models):
            return "models must name at least one model, and none twice."
        return None


class Progress(msgspec.Struct):
    """How far a comparison is: all of the journeys before ``journey``, and of that one all up to ``position``.

    ``places`` are the most decimal places of a value, by currency.
    """

    question: Question
    generation: int
    journey: str = ""
    position: str = ""
    events: int = 0
    sums: JourneySums = {}
    places: dict[str, int] = {}


class _Credited(NamedTuple):
    position: str
    journey: str
    user: Identity
    credit: Credit


class Comparer:
    """Compares models over the views of an application. It is the job kind ``compare`` as well.

    Parameters
    ----------
    seconds
        Counts them; decides only when a step ends.
    """

    def __init__(
        self,
        views: Table,
        settings: SettingsStore,
        registry: Registry,
        credited: CreditedEvents,
        seconds: Callable[[], float] = time.monotonic,
        piece: int = PIECE,
    ) -> None:
        self._views = views
        self._settings = settings
        self._registry = registry
        self._credited = credited
        self._seconds = seconds
        self._piece = piece

    # --- in a request ---

    def compare(self, question: Question, most: int, seconds: float) -> Comparison:
        """The comparison, if it is of at most so many events and takes no longer.

        Raises
        ------
        TooManyEvents
            It is one for a job.
        """
        deadline = self._seconds() + seconds
        progress = self._begun(question)
        found = list(islice(self._events(progress), most + 1))
        if len(found) > most:
            raise TooManyEvents
        # User by user, so that each one's touches are read once.
        found.sort(key=lambda one: (one.user.kind, one.user.name))
        for start in range(0, len(found), self._piece):
            if self._seconds() >= deadline:
                raise TooManyEvents
            self._share(found[start : start + self._piece], progress)
        return self._comparison(progress)

    # --- as a job ---

    def start(self, params: Mapping[str, Any]) -> Any:
        """The state before the first step.

        Raises
        ------
        JobFailed
            There is no such question.
        """
        return _to_json(self._begun(asked(params, Question)))

    def step(self, state: Any) -> tuple[Any, int, int | None, bool]:
        """Two seconds' work."""
        progress = _from_json(state)
        if self._settings.get(progress.question.application).generation != progress.generation:
            # The views were made anew, and those that were being read are deleted.
            progress = self._begun(progress.question)
        deadline, finished = self._seconds() + STEP_S, True
        for piece in self._pieces(self._events(progress)):
            self._share(piece, progress)
            progress.journey, progress.position = _place(piece[-1])
            if self._seconds() >= deadline:
                finished = False
                break
        return _to_json(progress), progress.events, None, finished

    def result(self, state: Any) -> Any:
        """The comparison as JSON holds it.

        Raises
        ------
        JobFailed
            It is of more journeys than a job can hold.
        """
        return result_of(self._comparison(_from_json(state)), "comparison", "ask for fewer models or a shorter period")

    # --- pieces ---

    def _begun(self, question: Question) -> Progress:
        return Progress(question, self._settings.get(question.application).generation)

    def _comparison(self, progress: Progress) -> Comparison:
        question = progress.question
        return comparison_of(
            progress.sums,
            self._registry.names(question.application),
            models=question.models,
            start=question.start,
            end=question.end,
            event_type=question.event_type,
            half_life_days=question.half_life_days,
            events=progress.events,
            places=progress.places,
        )

    def _events(self, progress: Progress) -> Iterator[_Credited]:
        """The credited events that are not in the sums, journey by journey."""
        question = progress.question
        journeys = self._credited.journeys(question.application, progress.generation, question.start, question.end)
        first, last = padded(question.start), padded(question.end)
        ranges = (
            (one, progress.position + "\x00" if progress.position and one == progress.journey else first, last)
            for one in journeys
            if one >= progress.journey
        )
        return map(_credited_in, self._credited.by_journey(question.application, progress.generation, ranges))

    def _pieces(self, events: Iterable[_Credited]) -> Iterator[list[_Credited]]:
        """Pieces of events. Events of one place of the index are in one piece: the next one begins
        after that place.
        """
        piece: list[_Credited] = []
        for _, same_place in groupby(events, key=_place):
            piece += same_place
            if len(piece) >= self._piece:
                yield piece
                piece = []
        if piece:
            yield piece

    def _share(self, piece: list[_Credited], progress: Progress) -> None:
        """Add what the models make of the events that are asked for."""
        event_type = progress.question.event_type
        piece = [one for one in piece if event_type in (None, one.credit.event_type)]
        touches = self._touches(piece, ViewKeys(progress.question.application, progress.generation))
        shares = Shares()
        for one in piece:
            credit, decider = one.credit, one.credit.touch
            path = path_of(touches[one.user, credit.event_time], decider, credit.event_time) if decider else []
            # A stamp names one journey, whatever the model.
            journeys = [touch.journey for touch in path] or [credit.journey]
            times = [touch.time for touch in path] or [credit.event_time]
            if value := credit.value:
                known = progress.places.get(value.currency, 0)
                progress.places[value.currency] = max(known, places_of(value.amount))
            for model in progress.question.models:
                shares.add(model, weights_of(model, times, progress.question.half_life), journeys, credit.value)
        shares.add_to(progress.sums)
        progress.events += len(piece)

    def _touches(self, piece: list[_Credited], keys: ViewKeys) -> dict[tuple[Identity, int], list[Touch]]:
        """The touches that may lead to a piece's events, by user and time of the event."""
        times: dict[Identity, set[int]] = defaultdict(set)
        for one in piece:
            if one.credit.touch:
                times[one.user].add(one.credit.event_time)

        def of_user(user: Identity) -> dict[tuple[Identity, int], list[Touch]]:
            asked, partition = times[user], keys.user(user)
            shared = self._newest_touches(partition, min(asked), max(asked), MOST_TOUCHES + 1)
            found = {}
            for time_of_event in asked:
                touches = shared
                if len(shared) > MOST_TOUCHES:
                    touches = self._newest_touches(partition, time_of_event, time_of_event, MOST_TOUCHES)
                covering = (one for one in touches if one.covers(time_of_event))
                found[user, time_of_event] = list(islice(covering, LONGEST_PATH))
            return found

        with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
            return dict(chain.from_iterable(found.items() for found in pool.map(of_user, times)))

    def _newest_touches(self, partition: str, earliest: int, latest: int, most: int) -> list[Touch]:
        """A user's touches that may be in the paths of events with ``earliest <= time <= latest``,
        at most so many, newest first.
        """
        low, high = f"touch#{padded(max(0, earliest - LONGEST_WINDOW_MS))}", f"touch#{padded(latest)}#{LAST}"
        items = self._views.query(partition, low, high, descending=True, limit=most, page=TOUCH_PAGE)
        touches: list[Touch] = []
        in_all_paths = 0
        for touch in map(touch_from, items):
            touches.append(touch)
            in_all_paths += touch.time <= earliest and latest < touch.until
            # An older touch is in no path: these are newer, and cover each of the events.
            if in_all_paths == LONGEST_PATH:
                break
        return touches


def _place(one: _Credited) -> tuple[str, str]:
    return one.journey, one.position


def _credited_in(item: Item) -> _Credited:
    parsed = parse_user_partition(item["pk"])
    if parsed is None:
        raise ValueError(f"{item['pk']} is no user's partition")
    credit = credit_from(item)
    return _Credited(item["gsk"], credit.journey, parsed[2], credit)


def _to_json(progress: Progress) -> Any:
    return msgspec.to_builtins(progress, enc_hook=str)


def _from_json(state: Any) -> Progress:
    return msgspec.convert(state, Progress, dec_hook=lambda kind, text: kind(text))
