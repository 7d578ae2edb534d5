"""Clients of AWS. Apart from ``wiring``, so that a function that needs none does not import boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from chalicelib.plain_answers import with_plain_answers

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_pinpoint import PinpointClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

NAMED = Config(user_agent=f"journey-attribution Boto3/{boto3.__version__}")
"""A third of the processor time of a call: botocore puts a longer name together anew for each."""
AWS = NAMED.merge(
    Config(
        connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}, tcp_keepalive=True
    )
)
UNCHECKED = Config(parameter_validation=False)
"""Half of what a transaction of 50 items costs here is botocore's check of it; items come from boto3's serializer."""
QUICK = NAMED.merge(Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}))
"""For what may be gone for good, such as Pinpoint's journeys."""
ONCE = NAMED.merge(Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}, tcp_keepalive=True))
"""For Cognito's quota, which each attempt counts against: the caller paces the next one."""
REGIONAL = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
"""Or else links would lead to the global endpoint, which redirects to where the signature is not valid."""


def dynamodb() -> DynamoDBClient:
    return with_plain_answers(boto3.client("dynamodb", config=AWS.merge(UNCHECKED)))


def s3() -> S3Client:
    return boto3.client("s3", config=AWS.merge(REGIONAL))


def sqs() -> SQSClient:
    return boto3.client("sqs", config=AWS)


def cognito() -> CognitoIdentityProviderClient:
    return boto3.client("cognito-idp", config=ONCE)


def pinpoint() -> PinpointClient:
    return boto3.client("pinpoint", config=QUICK)
