"""The data resources on MiniStack, from the definitions that deployment uses, and the application's environment."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from boto3.session import Session

from local.environment import DEFAULT_REGION, LOOPBACK, isolated

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parent.parent
DEFINITIONS = PROJECT / "infra" / "data.json"
STACK_NAME = "journeys"
SERVICE = "journey-attribution"
METRICS_NAMESPACE = "JourneyAttribution"
CREATED_WITHIN_S = 60.0
TTL_ATTRIBUTE = "ttl"
HOURS_OF_A_TOKEN = 24
"""Of an access token: as long as Cognito lets one live, so that nobody has to sign in again while trying things out."""


class StackFailed(Exception):
    """The resources could not be created, or a kept data directory holds another set of them."""


@dataclass(frozen=True)
class LocalStack:
    """Where everything is: the endpoint and the names of the resources."""

    endpoint: str
    region: str
    facts_table: str
    facts_stream_arn: str
    views_table: str
    views_stream_arn: str
    event_stream: str
    event_stream_arn: str
    quarantine_bucket: str
    user_pool_id: str
    marketers_pool_id: str
    marketers_client_id: str
    export_bucket: str
    jobs_queue: str
    """URL of the queue from which ``run_jobs`` takes its tasks."""
    jobs_queue_arn: str
    queues: Mapping[str, str]
    """URLs of the failure queues by the function whose failures they take."""

    def environment(self, pinpoint_endpoint: str, log_level: str = "INFO") -> dict[str, str]:
        """The application's environment variables: what Lambda would give it, and the endpoints of this machine."""
        aws = isolated({}, self.region)
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_PINPOINT": pinpoint_endpoint,
            # The fixture server answers it.
            "PINPOINT_NAMES": "on",
            **{name: value for name, value in aws.items() if name.startswith("AWS_")},
            "FACTS_TABLE": self.facts_table,
            "VIEWS_TABLE": self.views_table,
            "FACTS_STREAM_ARN": self.facts_stream_arn,
            "VIEWS_STREAM_ARN": self.views_stream_arn,
            "EVENT_STREAM": self.event_stream,
            "QUARANTINE_BUCKET": self.quarantine_bucket,
            "EXPORT_BUCKET": self.export_bucket,
            "JOBS_QUEUE_URL": self.jobs_queue,
            "JOBS_QUEUE_ARN": self.jobs_queue_arn,
            "PROJECT_FAILURES_QUEUE_URL": self.queues["project_facts"],
            "USER_POOL_ID": self.user_pool_id,
            "CAMPAIGN_ATTRIBUTE": "custom:campaign",
            "MARKETERS_POOL_ID": self.marketers_pool_id,
            "MARKETERS_CLIENT_ID": self.marketers_client_id,
            # The emulated Cognito has no quota to keep to.
            "COGNITO_UPDATES_PER_SECOND": "500",
            "POWERTOOLS_SERVICE_NAME": SERVICE,
            "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
            "LOG_LEVEL": log_level,
            "POWERTOOLS_LOG_LEVEL": log_level,
        }


def connect(endpoint: str, region: str = DEFAULT_REGION) -> Session:
    """A session for MiniStack; its clients still need ``endpoint_url``.

    To be used in an isolated environment only: with any credentials, boto3 still follows the user's profile.
    """
    if not endpoint.startswith(f"http://{LOOPBACK}:"):
        raise ValueError(f"{endpoint} is not on this machine")
    return Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=region)  # noqa: S106


def ensure_stack(endpoint: str, region: str = DEFAULT_REGION, shards: int | None = None) -> LocalStack:
    """Create the resources, or find them in a kept data directory.

    Parameters
    ----------
    shards
        Of the event stream, when it is created. An existing one keeps its own.

    Raises
    ------
    StackFailed
        With CloudFormation's reasons.
    """
    session = connect(endpoint, region)
    cloudformation: CloudFormationClient = session.client("cloudformation", endpoint_url=endpoint)
    found = _describe(cloudformation)
    if found is None:
        _create(cloudformation, shards)
        found = _wait(cloudformation)
    elif shards is not None and _parameters(found).get("ShardCount") not in (None, str(shards)):
        logger.warning("the kept event stream has %s shards, not %d", _parameters(found)["ShardCount"], shards)
    stack = _read(found, endpoint, region)
    dynamodb: DynamoDBClient = session.client("dynamodb", endpoint_url=endpoint)
    for table in (stack.facts_table, stack.views_table):
        _ensure_ttl(dynamodb, table)
    return stack


def _describe(cloudformation: CloudFormationClient) -> StackTypeDef | None:
    try:
        stacks = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return stacks[0] if stacks else None


def _create(cloudformation: CloudFormationClient, shards: int | None) -> None:
    parameters = {"MarketersTokenHours": str(HOURS_OF_A_TOKEN)} | (
        {} if shards is None else {"ShardCount": str(shards)}
    )
    template = {"AWSTemplateFormatVersion": "2010-09-09", **json.loads(DEFINITIONS.read_text())}
    cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )


def _wait(cloudformation: CloudFormationClient) -> StackTypeDef:
    deadline = time.monotonic() + CREATED_WITHIN_S
    while time.monotonic() < deadline:
        stack = _describe(cloudformation)
        status = stack["StackStatus"] if stack else "missing"
        if stack and status == "CREATE_COMPLETE":
            return stack
        if status != "CREATE_IN_PROGRESS":
            raise StackFailed(f"the stack is {status}: {_reasons(cloudformation)}")
        time.sleep(0.05)
    raise StackFailed(f"the stack was not created in {CREATED_WITHIN_S:.0f} s")


def _reasons(cloudformation: CloudFormationClient) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    reasons = [
        f"{event.get('LogicalResourceId')}: {event['ResourceStatusReason']}"
        for event in events
        if event.get("ResourceStatus", "").endswith("FAILED") and "ResourceStatusReason" in event
    ]
    return "; ".join(reasons) or "no reason given"


def _parameters(stack: StackTypeDef) -> dict[str, str]:
    return {one.get("ParameterKey", ""): one.get("ParameterValue", "") for one in stack.get("Parameters", [])}


def _read(stack: StackTypeDef, endpoint: str, region: str) -> LocalStack:
    outputs = {one.get("OutputKey", ""): one.get("OutputValue", "") for one in stack.get("Outputs", [])}
    try:
        queues = {
            "ingest_events": outputs["IngestFailuresUrl"],
            "project_facts": outputs["ProjectFailuresUrl"],
            "sync_campaigns": outputs["SyncFailuresUrl"],
            "run_jobs": outputs["JobFailuresUrl"],
        }
        return LocalStack(
            endpoint=endpoint,
            region=region,
            facts_table=outputs["FactsTableName"],
            facts_stream_arn=outputs["FactsStreamArn"],
            views_table=outputs["ViewsTableName"],
            views_stream_arn=outputs["ViewsStreamArn"],
            event_stream=outputs["EventStreamName"],
            event_stream_arn=outputs["EventStreamArn"],
            quarantine_bucket=outputs["QuarantineBucketName"],
            user_pool_id=outputs["CustomerPoolId"],
            marketers_pool_id=outputs["MarketersPoolId"],
            marketers_client_id=outputs["MarketersClientId"],
            export_bucket=outputs["ExportBucketName"],
            # A kept stack still names the port of the process that made it.
            jobs_queue=endpoint + urlsplit(outputs["JobsUrl"]).path,
            jobs_queue_arn=outputs["JobsArn"],
            queues={function: endpoint + urlsplit(url).path for function, url in queues.items()},
        )
    except KeyError as error:
        raise StackFailed(
            f"the stack has no output {error}: its data directory was made by another version of {DEFINITIONS.name}"
        ) from error


def _ensure_ttl(dynamodb: DynamoDBClient, table: str) -> None:
    """Enable expiry where the emulator's CloudFormation left it out."""
    status = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if status.get("TimeToLiveStatus") != "ENABLED":
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        )
