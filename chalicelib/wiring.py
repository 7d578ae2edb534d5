"""Puts the parts together from the function's environment.

Each is made when it is first asked for, once in a function's lifetime, and imports then what it is made of: all
functions come from one package, and each starts with what it needs itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from chalicelib.times import Clock, SystemClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_pinpoint import PinpointClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.access.tokens import TokenVerifier
    from chalicelib.api.cursors import Cursors
    from chalicelib.api.exports import ExportEvents, ExportFiles
    from chalicelib.api.queries import EventQueries
    from chalicelib.campaigns.cognito import PacedWriter, PermittedDestinations
    from chalicelib.campaigns.expiry import Expiry
    from chalicelib.campaigns.sync import CampaignSync
    from chalicelib.erasure.eraser import Eraser
    from chalicelib.ingestion import Ingestion
    from chalicelib.jobs.runner import Runner
    from chalicelib.jobs.store import JobQueue, JobStore, Kinds
    from chalicelib.journeys.registry import Registry
    from chalicelib.projection.project import Projector
    from chalicelib.reports.compare import Comparer
    from chalicelib.reports.credited import CreditedEvents
    from chalicelib.reports.preview import Previewer
    from chalicelib.reports.report import Reports
    from chalicelib.settings.store import SettingsStore
    from chalicelib.tables import Table

clock: Clock = SystemClock()


@cache
def dynamodb() -> DynamoDBClient:
    from chalicelib import clients

    return clients.dynamodb()


@cache
def facts() -> Table:
    from chalicelib.tables import Table

    return Table(dynamodb(), os.environ["FACTS_TABLE"])


@cache
def views() -> Table:
    from chalicelib.tables import Table

    return Table(dynamodb(), os.environ["VIEWS_TABLE"])


@cache
def settings() -> SettingsStore:
    from chalicelib.settings.store import SettingsStore

    return SettingsStore(views())


@cache
def registry() -> Registry:
    from chalicelib.journeys.registry import Registry

    return Registry(views(), facts(), settings())


@cache
def ingestion() -> Ingestion:
    from chalicelib.ingestion import Ingestion
    from chalicelib.quarantine import Quarantine

    quarantine = Quarantine(_s3(), os.environ["QUARANTINE_BUCKET"])
    return Ingestion(facts(), settings(), quarantine, clock)


@cache
def projector() -> Projector:
    from chalicelib import clients
    from chalicelib.projection.project import Projector
    from chalicelib.projection.set_aside import FailureQueue

    return Projector(facts(), views(), clock, FailureQueue(clients.sqs(), os.environ["PROJECT_FAILURES_QUEUE_URL"]))


@cache
def _pinpoint() -> PinpointClient:
    from chalicelib import clients

    return clients.pinpoint()


@cache
def campaign_sync() -> CampaignSync:
    """Without a pool in ``USER_POOL_ID`` or in an application's settings campaigns are kept in the views only.

    Unless ``PINPOINT_NAMES`` is ``on``, Pinpoint's GetJourney is never called: a call is paid for with seconds of
    waiting where the service has ended.
    """
    from chalicelib.campaigns.sync import CampaignSync
    from chalicelib.journeys.registry import NameLookup

    pool = os.environ.get("USER_POOL_ID") or None
    pinpoint = _pinpoint if os.environ.get("PINPOINT_NAMES") == "on" else None
    return CampaignSync(views(), settings(), _writer(pool), NameLookup(pinpoint, registry()), clock)


def _writer(pool: str | None) -> PacedWriter:
    from concurrent.futures import ThreadPoolExecutor

    from chalicelib import clients
    from chalicelib.campaigns.cognito import (
        DEFAULT_ATTRIBUTE,
        DEFAULT_RATE,
        WRITERS,
        CognitoCampaigns,
        PacedWriter,
        bucket_for,
    )

    attribute = os.environ.get("CAMPAIGN_ATTRIBUTE", DEFAULT_ATTRIBUTE)
    cognito = CognitoCampaigns(clients.cognito(), pool, attribute, permitted_destinations())
    rate = float(os.environ.get("COGNITO_UPDATES_PER_SECOND", DEFAULT_RATE))
    return PacedWriter(cognito, bucket_for(rate), ThreadPoolExecutor(WRITERS, "cognito"))


@cache
def permitted_destinations() -> PermittedDestinations:
    from chalicelib.campaigns.cognito import PermittedDestinations

    return PermittedDestinations.of(os.environ)


@cache
def expiry() -> Expiry:
    from chalicelib.campaigns.expiry import Expiry

    return Expiry(views(), clock)


@cache
def reports() -> Reports:
    from chalicelib.reports.report import Reports

    return Reports(views(), registry())


@cache
def credited_events() -> CreditedEvents:
    from chalicelib.reports.credited import CreditedEvents

    return CreditedEvents(views(), registry(), reports(), clock)


@cache
def event_queries() -> EventQueries:
    from chalicelib.api.queries import EventQueries

    return EventQueries(facts(), views(), settings(), credited_events())


@cache
def comparer() -> Comparer:
    from chalicelib.reports.compare import Comparer

    return Comparer(views(), settings(), registry(), credited_events())


@cache
def previewer() -> Previewer:
    from chalicelib.reports.preview import Previewer

    return Previewer(facts(), views(), settings(), registry())


@cache
def eraser() -> Eraser:
    from chalicelib.erasure.eraser import Eraser

    return Eraser(facts(), views(), settings(), clock)


@cache
def cursors() -> Cursors:
    from chalicelib.api.cursors import Cursors

    return Cursors(views())


@cache
def _s3() -> S3Client:
    from chalicelib import clients

    return clients.s3()


@cache
def jobs() -> JobStore:
    from chalicelib.jobs.store import JobFiles, JobStore

    return JobStore(views(), JobFiles(_s3(), os.environ["EXPORT_BUCKET"]))


@cache
def job_queue() -> JobQueue:
    from chalicelib import clients
    from chalicelib.jobs.store import JobQueue

    return JobQueue(clients.sqs(), os.environ["JOBS_QUEUE_URL"])


@cache
def job_runner() -> Runner:
    from chalicelib.jobs.runner import Runner

    return Runner(jobs(), job_queue(), JOB_KINDS, clock)


@cache
def export_files() -> ExportFiles:
    from chalicelib.api.exports import ExportFiles

    return ExportFiles(_s3(), os.environ["EXPORT_BUCKET"])


@cache
def _export_events() -> ExportEvents:
    from chalicelib.api.exports import ExportEvents

    return ExportEvents(settings(), registry(), credited_events(), _s3(), os.environ["EXPORT_BUCKET"])


JOB_KINDS: Kinds = {"export_events": _export_events, "compare": comparer, "preview": previewer}
"""What jobs there are, by the ``kind`` in which they are asked for."""


@cache
def token_verifier() -> TokenVerifier:
    """Of the marketers' pool. Its keys come from where the pool is, which for an emulated one is not its issuer."""
    from chalicelib.access import tokens
    from chalicelib.access.keys import KeyCache

    pool = os.environ["MARKETERS_POOL_ID"]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER") or os.environ.get("AWS_ENDPOINT_URL")
    keys = KeyCache(partial(tokens.fetch_keys, tokens.key_set_url(pool, endpoint)), clock)
    return tokens.TokenVerifier(tokens.issuer_of(pool), os.environ["MARKETERS_CLIENT_ID"], keys, clock)


_NEEDED: Mapping[str, Callable[[], object]] = MappingProxyType(
    {
        "app.ingest_events": ingestion,
        "app.tag_users": ingestion,
        "app.project_facts": projector,
        "app.sync_campaigns": campaign_sync,
        "app.expire_campaigns": expiry,
        "app.run_jobs": job_runner,
        "app.app": reports,
        "chalicelib.api.access.check_token": token_verifier,
    }
)
"""What the first event of a function will ask for, by the function's handler."""


def prepare() -> None:
    """Make what this function's first event will ask for.

    To be called while the function starts, when Lambda gives it a whole processor; afterwards it has the share that
    goes with its memory. Only Lambda names a handler: elsewhere nothing is made.
    """
    make = _NEEDED.get(os.environ.get("_HANDLER", ""))
    if make is not None:
        make()
