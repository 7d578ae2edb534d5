"""What the fuzzer found, each by itself."""

from __future__ import annotations

from chalicelib.ingestion import Ingestion
from chalicelib.quarantine import Quarantine
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table
from chalicelib.times import LAST_MS, to_iso
from tests.fuzz.fakes import Bucket, FactsClient, ViewsClient
from tests.fuzz.mutations import T
from tests.support.clock import SetClock


def test_two_steps_of_one_moment_by_two_channels_are_two_facts() -> None:
    # Catches: one key for two contents, of which the one that comes last would stand (R5).
    client = FactsClient()
    facts = Table(client, "facts")  # type: ignore[arg-type]
    settings = SettingsStore(Table(ViewsClient(), "views"))  # type: ignore[arg-type]
    ingestion = Ingestion(facts, settings, Quarantine(Bucket(), "bucket"), SetClock(T))  # type: ignore[arg-type]
    for channel in ("SMS", "VOICE"):
        endpoints = {"e1": {"ChannelType": channel}}
        ingestion.tag({"ApplicationId": "app", "JourneyId": "j1", "Endpoints": endpoints}, "i1")
    assert len({item["sk"]["S"] for item in client.new}) == 2


def test_a_window_that_ends_after_the_year_9999_can_be_shown() -> None:
    # Catches: one record of a wrong clock after which no page with its user can be shown any more.
    assert to_iso(LAST_MS + 7 * 86_400_000) == to_iso(LAST_MS) == "9999-12-31T23:59:59.999Z"
