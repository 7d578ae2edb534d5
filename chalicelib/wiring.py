"""Puts the parts together from the function's environment.

Each is made when it is first asked for, once in a function's lifetime.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from chalicelib.api.cursors import Cursors
from chalicelib.api.queries import EventQueries
from chalicelib.campaign_sync import CampaignSync
from chalicelib.campaigns import Expiry
from chalicelib.cognito import DEFAULT_RATE, WRITERS, CognitoCampaigns, PacedWriter, bucket_for
from chalicelib.compare import Comparer
from chalicelib.erasure import Eraser
from chalicelib.exports import ExportEvents, ExportFiles
from chalicelib.ingestion import Ingestion
from chalicelib.job_runner import Runner
from chalicelib.jobs import JobQueue, JobStore, Kinds
from chalicelib.journeys import NameLookup, Registry
from chalicelib.preview import Previewer
from chalicelib.projection.project import Projector
from chalicelib.quarantine import Quarantine
from chalicelib.reports import Reports
from chalicelib.settings_store import SettingsStore
from chalicelib.tables import Table
from chalicelib.times import Clock, SystemClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_pinpoint import PinpointClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.access.tokens import TokenVerifier

AWS = Config(
    connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}, tcp_keepalive=True
)
QUICK = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""For what may be gone for good, such as Pinpoint's journeys."""
ONCE = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}, tcp_keepalive=True)
"""For Cognito's quota, which each attempt counts against: the caller paces the next one."""

clock: Clock = SystemClock()


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=AWS)


@cache
def facts() -> Table:
    return Table(dynamodb(), os.environ["FACTS_TABLE"])


@cache
def views() -> Table:
    return Table(dynamodb(), os.environ["VIEWS_TABLE"])


@cache
def settings() -> SettingsStore:
    return SettingsStore(views())


@cache
def registry() -> Registry:
    return Registry(views(), facts(), settings())


@cache
def ingestion() -> Ingestion:
    quarantine = Quarantine(boto3.client("s3", config=AWS), os.environ["QUARANTINE_BUCKET"])
    return Ingestion(facts(), settings(), quarantine, clock)


@cache
def projector() -> Projector:
    return Projector(facts(), views(), clock)


@cache
def _pinpoint() -> PinpointClient:
    return boto3.client("pinpoint", config=QUICK)


@cache
def campaign_sync() -> CampaignSync:
    """Without a pool in ``USER_POOL_ID`` or in an application's settings campaigns are kept in the views only."""
    pool = os.environ.get("USER_POOL_ID") or None
    return CampaignSync(views(), settings(), _writer(pool), NameLookup(_pinpoint, registry()), clock)


def _writer(pool: str | None) -> PacedWriter:
    cognito = CognitoCampaigns(
        boto3.client("cognito-idp", config=ONCE), pool, os.environ.get("CAMPAIGN_ATTRIBUTE", "custom:campaign")
    )
    rate = float(os.environ.get("COGNITO_UPDATES_PER_SECOND", DEFAULT_RATE))
    return PacedWriter(cognito, bucket_for(rate), ThreadPoolExecutor(WRITERS, "cognito"))


@cache
def expiry() -> Expiry:
    return Expiry(views(), clock)


@cache
def reports() -> Reports:
    return Reports(views(), registry())


@cache
def event_queries() -> EventQueries:
    return EventQueries(facts(), views(), settings(), registry(), clock)


@cache
def comparer() -> Comparer:
    return Comparer(views(), settings(), registry())


@cache
def previewer() -> Previewer:
    return Previewer(facts(), views(), settings(), registry())


@cache
def eraser() -> Eraser:
    return Eraser(facts(), views(), settings(), clock)


@cache
def cursors() -> Cursors:
    return Cursors(views())


@cache
def _s3() -> S3Client:
    # Or else links would lead to the global endpoint, which redirects to where the signature is not valid.
    regional = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
    return boto3.client("s3", config=AWS.merge(regional))


@cache
def jobs() -> JobStore:
    return JobStore(views())


@cache
def job_queue() -> JobQueue:
    return JobQueue(boto3.client("sqs", config=AWS), os.environ["JOBS_QUEUE_URL"])


@cache
def job_runner() -> Runner:
    return Runner(jobs(), job_queue(), JOB_KINDS, clock)


@cache
def export_files() -> ExportFiles:
    return ExportFiles(_s3(), os.environ["EXPORT_BUCKET"])


@cache
def _export_events() -> ExportEvents:
    return ExportEvents(views(), settings(), registry(), _s3(), os.environ["EXPORT_BUCKET"])


JOB_KINDS: Kinds = {"export_events": _export_events, "compare": comparer, "preview": previewer}
"""What jobs there are, by the ``kind`` in which they are asked for."""


@cache
def token_verifier() -> TokenVerifier:
    """Of the marketers' pool. Its keys come from where the pool is, which for an emulated one is not its issuer."""
    # Imported here: the library takes a tenth of a second, and of all functions only the authorizer needs it.
    from chalicelib.access import tokens  # noqa: PLC0415
    from chalicelib.access.keys import KeyCache  # noqa: PLC0415

    pool = os.environ["MARKETERS_POOL_ID"]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER") or os.environ.get("AWS_ENDPOINT_URL")
    keys = KeyCache(partial(tokens.fetch_keys, tokens.key_set_url(pool, endpoint)), clock)
    return tokens.TokenVerifier(tokens.issuer_of(pool), os.environ["MARKETERS_CLIENT_ID"], keys, clock)
