"""Preview: the report under changed settings beside the present one, before anything is saved.

Both are computed anew from the stored facts, by the rules that the projection applies, so the present one is the report
itself (as a rebuild would make it, where settings were backdated). All facts of the application are read: many of them
are a job of many steps, between which only sums and a place in the table are kept. A user's facts are held together; of
a user who has too many for that the events count in the totals only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chalicelib.attribution.deciding import decided
from chalicelib.attribution.stamps import stamp_of
from chalicelib.attribution.value import value_of
from chalicelib.facts.model import Event, Identity, PlacedFact
from chalicelib.facts.scanning import Page, scanned
from chalicelib.jobs.store import asked
from chalicelib.journeys.labels import journeys_in
from chalicelib.journeys.registry import Registry
from chalicelib.keys import LAST, Key, ViewKeys, fact_range, label_key
from chalicelib.projection.aliases import MANY
from chalicelib.reports.job_results import result_of
from chalicelib.reports.preview_changes import Changes
from chalicelib.reports.preview_figures import Figures, Preview, Side, preview_of
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Item, Table
from chalicelib.times import DAY_MS, day_of, day_to_iso, from_iso

KIND = "preview"
STEP_S = 2.0


class TooManyFacts(Exception):
    """There are more than can be looked at while a caller waits."""


class Question(msgspec.Struct, frozen=True):
    """What is previewed: changes, and whole days ``first <= day < end`` (``YYYYMMDD``; None: without bound)."""

    application: str
    changes: Changes = Changes()
    first: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)

    def flaw(self) -> str | None:
        """Why it cannot be answered, as a sentence for the caller."""
        if self.first is not None and self.end is not None and self.first >= self.end:
            return "to must be later than from; from is included, to is not."
        return self.changes.flaw()

    def includes(self, event: Event, time_zone: str) -> bool:
        """Whether an event is of these days."""
        day = day_of(event.time, time_zone)
        return (self.first is None or self.first <= day) and (self.end is None or day < self.end)

    def ranges(self, *, customs: bool) -> list[tuple[str, str]]:
        """The facts that matter: events of the period, and all touches before its end, however old (R11).

        Events may be touches themselves where ``customs`` are named.
        """
        # A day more on both sides: days are told in a time zone.
        start = 0 if self.first is None or customs else max(0, _midnight(self.first) - DAY_MS)
        end = None if self.end is None else _midnight(self.end) + DAY_MS
        return [fact_range("e", start, end), fact_range("i", 0, end)]


class Progress(msgspec.Struct):
    """How far a preview is: the key of the fact up to which all partitions are in the sums."""

    question: Question
    settings: Settings
    after: tuple[str, str] | None = None
    looked_at: int = 0
    finished: bool = False
    present: Side = msgspec.field(default_factory=Side)
    changed: Side = msgspec.field(default_factory=Side)
    left_out: int = 0


class Previewer:
    """Computes previews from facts. It is the job kind ``preview`` as well.

    Parameters
    ----------
    seconds
        Counts them; decides only when a step ends.
    page
        How many facts one call reads at most.
    """

    def __init__(
        self,
        facts: Table,
        views: Table,
        settings: SettingsStore,
        registry: Registry,
        seconds: Callable[[], float] = time.monotonic,
        page: int | None = None,
    ) -> None:
        self._facts = facts
        self._views = views
        self._settings = settings
        self._registry = registry
        self._seconds = seconds
        self._page = page

    # --- in a request ---

    def preview(self, question: Question, most: int, seconds: float) -> Preview:
        """The preview, if no more facts are to be read for it, of all applications, and it takes no longer.

        Raises
        ------
        TooManyFacts
            It is one for a job.
        """
        deadline = self._seconds() + seconds
        progress = self._begun(question)
        for page in self._pages(progress):
            self._take(page, progress)
            if not progress.finished and (progress.looked_at >= most or self._seconds() >= deadline):
                raise TooManyFacts
        return self._shown(progress)

    # --- as a job ---

    def start(self, params: Mapping[str, Any]) -> Any:
        """The state before the first step. Settings that are saved later change nothing in it.

        Raises
        ------
        JobFailed
            There is no such question.
        """
        return msgspec.to_builtins(self._begun(asked(params, Question)))

    def step(self, state: Any) -> tuple[Any, int, int | None, bool]:
        """Two seconds' work, and at least what belongs to one identity."""
        progress = msgspec.convert(state, Progress)
        begun_at, deadline = progress.after, self._seconds() + STEP_S
        for page in self._pages(progress):
            self._take(page, progress)
            if self._seconds() >= deadline and progress.after != begun_at and not page.unfinished:
                break
        return msgspec.to_builtins(progress), progress.looked_at, None, progress.finished

    def result(self, state: Any) -> Any:
        """The preview as JSON holds it.

        Raises
        ------
        JobFailed
            It is of more journeys or event types than a job can hold.
        """
        return result_of(self._shown(msgspec.convert(state, Progress)), "preview", "ask for a shorter period")

    # --- reading ---

    def _begun(self, question: Question) -> Progress:
        settings = self._settings.get(question.application)
        return Progress(question, settings.in_generation(settings.generation))

    def _pages(self, progress: Progress) -> Iterator[Page]:
        question = progress.question
        changed = question.changes.applied(progress.settings)
        customs = any(one.custom_interactions for one in (*progress.settings.policies, *changed.policies))
        after = Key(*progress.after) if progress.after else None
        return scanned(self._facts, question.application, question.ranges(customs=customs), after, self._page)

    def _take(self, page: Page, progress: Progress) -> None:
        """Put whole partitions to the sums."""
        application = progress.question.application
        keys = ViewKeys(application, progress.settings.generation)
        links = self._links(keys, {facts[0].identity for facts in page.partitions})
        stamps = self._stamps(application, (one for facts in page.partitions for one in facts))
        sides = (
            (progress.present, progress.settings),
            (progress.changed, progress.question.changes.applied(progress.settings)),
        )
        for facts in page.partitions:
            held = [one for one in facts if not one.gone and is_own(one.fact.time, links.get(one.identity, []))]
            for side, settings in sides:
                _add_totals(side, facts, progress.question, settings)
                _add_credits(side, held, progress.question, settings, stamps.get)
        for facts in page.too_large:
            for side, settings in sides:
                _add_totals(side, facts, progress.question, settings)
        progress.left_out += page.left_out
        progress.after = page.resume
        progress.looked_at += page.looked_at
        progress.finished = page.resume is None

    def _links(self, keys: ViewKeys, identities: set[Identity]) -> dict[Identity, list[Item]]:
        """What is known of the aliases among identities: to whom each was linked, in order of time."""
        aliases = {keys.links(one): one for one in identities if one.is_alias}
        found = {aliases[key]: item for key, item in self._views.get_many(aliases).items()}
        return {
            alias: list(self._views.query(keys.alias(alias), "link#", f"link#{LAST}"))
            if item["kind"] == MANY
            else [item]
            for alias, item in found.items()
        }

    def _stamps(self, application: str, facts: Iterable[PlacedFact]) -> dict[str, str]:
        """The journeys that the events' stamps name now (R11)."""
        stamps = {stamp for one in facts if isinstance(one.fact, Event) and (stamp := stamp_of(one.fact))}
        keys = {label_key(application, stamp): stamp for stamp in stamps}
        labels = {keys[key]: journeys_in(item) for key, item in self._views.get_many(keys).items()}
        return {stamp: max(journeys) for stamp, journeys in labels.items() if journeys}

    def _shown(self, progress: Progress) -> Preview:
        names = self._registry.names(progress.question.application)
        question = progress.question
        return preview_of(progress.present, progress.changed, names, question.first, question.end, progress.left_out)


def is_own(time_of_fact: int, links: Sequence[Item]) -> bool:
    """Whether a fact belongs to the identity in whose partition it lies; those of linked aliases are copied away.

    What an erased user's alias does after the erasure is its own again, up to the next link. ``links`` are the stored
    ones, in order of time, or the only one, which has no time.
    """
    if not links:
        return True
    first = [one for one in links if one.get("time") == links[0].get("time")]
    decides = ([one for one in links if int(one.get("time", 0)) <= time_of_fact] or first)[-1]
    return "until" in decides and time_of_fact > int(decides["until"])


def _add_totals(side: Side, facts: list[PlacedFact], question: Question, settings: Settings) -> None:
    """Originals count once, wherever they belong."""
    for one in facts:
        event = one.fact
        if (
            isinstance(event, Event)
            and not one.via
            and question.includes(event, settings.time_zone)
            and settings.policy_at(event.time).counts_event(event.type)
        ):
            side.total.add(event.type, value_of(event, settings.value_at(event.time)))


def _add_credits(
    side: Side,
    held: list[PlacedFact],
    question: Question,
    settings: Settings,
    journey_of_stamp: Callable[[str], str | None],
) -> None:
    """One user's credited events."""
    converted: set[str] = set()
    for event, journey in decided(held, settings, journey_of_stamp):
        if journey is not None and question.includes(event, settings.time_zone):
            figures = side.journeys.setdefault(journey, Figures())
            figures.add(event.type, value_of(event, settings.value_at(event.time)))
            converted.add(journey)
    for journey in converted:
        side.journeys[journey].converters += 1


def _midnight(day: str) -> int:
    return from_iso(day_to_iso(day))
