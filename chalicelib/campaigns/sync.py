"""``sync_campaigns``: the views' campaigns into Cognito, at its pace (R7)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from chalicelib.campaigns.changes import (
    CampaignChange,
    campaign_change,
    journey_in,
    named_journey,
    new_journey,
)
from chalicelib.campaigns.cognito import THE_DEPLOYMENTS, Answer, Destination, Outcome, PacedWriter, Write
from chalicelib.campaigns.pacing import Backoff, Timer
from chalicelib.facts.model import Identity
from chalicelib.journeys.registry import NameLookup
from chalicelib.keys import Key, ViewKeys
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table
from chalicelib.times import DAY_MS, SECOND_MS, Clock

BLANK = ""

CHUNK = 20
"""Users whose campaigns are read at once: they are written within about a second."""

SPARED_MS = 10_000
"""Of the function's time, for the calls under way (7 s at most) and for the answer."""

ATTEMPTS = 4
"""How often a write that fails is tried. Lambda goes on from there, and its thousand attempts must fit into the day
that records stay in the stream.
"""

WAITS_MS = DAY_MS
"""How long a campaign waits for its journey to be named: a send may be projected shortly after the first touch."""

Record = Mapping[str, Any]


class Synced(NamedTuple):
    """What became of a batch of change records, in users.

    Attributes
    ----------
    superseded
        Not written, as the views say something else by now: its change record follows.
    waiting
        Not written yet.
    throttles
        Calls that Cognito throttled; one user may account for several.
    failed
        Sequence number of the first record that must come again, or None.
    stuck
        Whether that is the batch's first record, and Cognito fails on it without throttling.
    lag
        Age in seconds of the oldest record that waits: the first that must come again, else, as an upper bound, the
        batch's last one, behind which all are younger. None where the records do not tell.
    reasons
        How often Cognito took no campaign, by reason; they name nobody.
    """

    written: int = 0
    unknown: int = 0
    refused: int = 0
    superseded: int = 0
    waiting: int = 0
    throttles: int = 0
    failed: str | None = None
    stuck: bool = False
    lag: int | None = None
    reasons: Mapping[str, int] = MappingProxyType({})


class _Task(NamedTuple):
    """What a change record asks for: to write a campaign, or to ask for a journey's name.

    ``waited``: the campaign waited for its journey to be named.
    """

    record: Record
    change: CampaignChange | None
    unnamed: tuple[str, str] | None = None
    destination: Destination = THE_DEPLOYMENTS
    waited: bool = False

    @property
    def sequence(self) -> str:
        return str(self.record["dynamodb"]["SequenceNumber"])


def _last(tasks: Iterable[_Task]) -> list[_Task]:
    """Of a user in a pool, whatever the application, only the last change.

    What waited stands beside it: it was a change long ago, and is written only if it still is the last.
    """
    last: dict[object, _Task] = {}
    for task in tasks:
        about = (task.destination, task.change.user_name, task.waited) if task.change else task.unnamed
        last.pop(about, None)
        last[about] = task
    return list(last.values())


class _Batch:
    """What is left of a batch to be done, and what became of the rest."""

    def __init__(self, tasks: list[_Task]) -> None:
        self.left = tasks
        self.superseded = 0
        self.answers: Counter[Outcome] = Counter()
        self.reasons: Counter[str] = Counter()
        self.names: dict[tuple[str, str], str | None] = {}
        """Of journeys, by application and id: asked for once a batch."""

    def take(self, answered: Sequence[tuple[_Task, Answer]], looked_at: int) -> Outcome | None:
        """Keep what is not done of the first ``looked_at`` tasks; why the first of them is not, or None."""
        self.answers.update(answer.outcome for _, answer in answered)
        self.reasons.update(answer.reason for _, answer in answered if answer.reason)
        undone = [(task, answer.outcome) for task, answer in answered if not answer.is_final]
        self.left = [*(task for task, _ in undone), *self.left[looked_at:]]
        return undone[0][1] if undone else None


class CampaignSync:
    """Follows the views' change stream and writes what changed to Cognito.

    A change is written if the views, read right before, still say the same. Else it is superseded, and the change
    that did so has a record of its own, still to come. So whatever is written was current, a user's writes are in
    the stream's order, and a user's last change, which nothing supersedes, is written. What waited for minutes costs
    about a call per user, not one per change.

    Parameters
    ----------
    writer
        None: campaigns are kept in the views only, as they are of an application that has no pool.
    """

    def __init__(
        self,
        views: Table,
        settings: SettingsStore,
        writer: PacedWriter | None,
        names: NameLookup,
        clock: Clock,
        timer: Timer = time,
    ) -> None:
        self._views = views
        self._settings = settings
        self._writer = writer
        self._names = names
        self._clock = clock
        self._timer = timer

    def sync(self, records: Sequence[Record], remaining_ms: Callable[[], int]) -> Synced:
        """Write the last campaign of each user in the batch, oldest first, until all are or the time is nearly up.

        A user whose campaign changed back within the batch is written all the same: an earlier delivery may have
        got half way. Throttling is waited out; where Cognito fails otherwise, it is tried a few times.

        Parameters
        ----------
        remaining_ms
            Milliseconds until the function is ended.
        """

        def seconds_left() -> float:
            return (remaining_ms() - SPARED_MS) / SECOND_MS

        batch = _Batch(_last(self._directed(self._read(records))))
        backoff = Backoff()
        trouble: Outcome | None = None
        while batch.left and seconds_left() > 0:
            front, former = batch.left[0], trouble
            trouble = self._step(batch, seconds_left)
            if trouble is None:
                continue
            if batch.left[0] is not front or trouble is not former:
                backoff.reset()
            wait = backoff.next()
            given_up = trouble is Outcome.FAILED and backoff.attempts == ATTEMPTS
            if given_up or trouble is Outcome.UNTRIED or wait > seconds_left():
                break
            self._timer.sleep(wait)
        return self._result(records, batch, trouble)

    def _read(self, records: Sequence[Record]) -> list[_Task]:
        """What the records ask for, in their order."""
        read: list[_Task] = []
        for record in records:
            read.append(_Task(record, campaign_change(record), new_journey(record)))
            if self._writer and (named := named_journey(record)):
                read += [_Task(record, change, waited=True) for change in self._waiting(*named)]
        return [task for task in read if task.change or task.unnamed]

    def _waiting(self, application: str, journey: str) -> Iterator[CampaignChange]:
        """The campaigns that wait for a journey to be named."""
        generation = self._settings.get(application).generation
        for item in self._views.query(ViewKeys(application, generation).waiting_campaigns(journey)):
            yield CampaignChange(application, generation, item["sk"], journey)

    def _directed(self, tasks: Sequence[_Task]) -> Iterator[_Task]:
        """With where campaigns are to be written; those that are to be written nowhere are left out."""
        applications = {task.change.application for task in tasks if task.change} if self._writer else set()
        settings = self._settings.get_many(applications)
        for task in tasks:
            if task.change is None:
                yield task
            elif self._writer and (cognito := settings[task.change.application].cognito).enabled:
                destination = Destination(cognito.user_pool_id, cognito.attribute)
                if self._writer.reaches(destination):
                    yield task._replace(destination=destination)

    def _step(self, batch: _Batch, seconds_left: Callable[[], float]) -> Outcome | None:
        """Do the next tasks; why the first that is not done is not, or None."""
        chunk = batch.left[:CHUNK]
        superseded = self._superseded([task.change for task in chunk if task.change])
        writes: list[tuple[_Task, Write]] = []
        unnamed: list[tuple[_Task, Answer]] = []
        done: list[_Task] = []
        looked_at = 0
        for task in chunk:
            if seconds_left() <= 0:
                break
            looked_at += 1
            if task.unnamed:
                self._names.name(*task.unnamed)
            if task.change is None:
                continue
            if task.change in superseded:
                batch.superseded += 1
                done.append(task)
                continue
            text = self._text(task.change, batch.names)
            if text is None:
                text = self._after_all(task.change, batch.names)
            if text is None:
                unnamed.append((task, Answer(Outcome.REFUSED, "a journey that nobody named yet")))
            else:
                writes.append((task, Write(task.change.user_name, text, task.destination)))
        answers = self._writer.write([write for _, write in writes], seconds_left) if self._writer else []
        answered = [(task, answer) for (task, _), answer in zip(writes, answers, strict=True)]
        self._forget([*done, *(task for task, answer in answered if answer.is_final)])
        return batch.take([*unnamed, *answered], looked_at)

    def _after_all(self, change: CampaignChange, names: dict[tuple[str, str], str | None]) -> str | None:
        """Note that a campaign waits for its journey to be named, for a day; its name if it was named just now.

        Whoever names it does so before or after the note is there: then the name is found here, or the note by the
        change record of the naming.
        """
        journey = change.journey or ""
        self._views.put_many(
            [
                {
                    "pk": ViewKeys(change.application, change.generation).waiting_campaigns(journey),
                    "sk": change.user_name,
                    "ttl": (self._clock.now() + WAITS_MS) // SECOND_MS,
                }
            ]
        )
        names.pop((change.application, journey), None)
        return self._text(change, names)

    def _forget(self, tasks: Iterable[_Task]) -> None:
        """Delete the notes of campaigns that wait no longer."""
        self._views.delete_many(
            {
                Key(ViewKeys(one.application, one.generation).waiting_campaigns(one.journey), one.user_name)
                for task in tasks
                if task.waited and (one := task.change) and one.journey
            }
        )

    def _superseded(self, changes: Sequence[CampaignChange]) -> set[CampaignChange]:
        """Those that the views as they are served say no longer.

        A generation that is being built is not served yet, and what differs in it is told once more when it is.
        """
        settings = self._settings.get_many(change.application for change in changes)
        keys = {
            change: ViewKeys(change.application, settings[change.application].generation).campaign(
                Identity("n", change.user_name)
            )
            for change in changes
        }
        current = self._views.get_many(keys.values())

        def holds(change: CampaignChange) -> bool:
            item = current.get(keys[change])
            if item is None:
                # It is gone, and the record is the last that is known of it.
                return change.generation == settings[change.application].generation
            return journey_in(item) == change.journey

        return {change for change in changes if not holds(change)}

    def _text(self, change: CampaignChange, names: dict[tuple[str, str], str | None]) -> str | None:
        """What the attribute is to say; None where nobody but clients names the journey.

        Any client can report an interaction with a journey of any id, and so would write any text for anybody.
        """
        if change.journey is None:
            return BLANK
        journey = (change.application, change.journey)
        if journey not in names:
            names[journey] = self._names.name(*journey)
        return names[journey]

    def _result(self, records: Sequence[Record], batch: _Batch, trouble: Outcome | None) -> Synced:
        first = batch.left[0].record if batch.left else None
        return Synced(
            written=batch.answers[Outcome.WRITTEN],
            unknown=batch.answers[Outcome.UNKNOWN],
            refused=batch.answers[Outcome.REFUSED],
            superseded=batch.superseded,
            waiting=sum(1 for task in batch.left if task.change),
            throttles=batch.answers[Outcome.THROTTLED],
            failed=batch.left[0].sequence if batch.left else None,
            stuck=first is not None and first is records[0] and trouble is Outcome.FAILED,
            lag=self._age(first or records[-1]) if records else None,
            reasons=batch.reasons,
        )

    def _age(self, record: Record) -> int | None:
        created = record["dynamodb"].get("ApproximateCreationDateTime")
        return None if created is None else max(0, self._clock.now() // SECOND_MS - int(created))
