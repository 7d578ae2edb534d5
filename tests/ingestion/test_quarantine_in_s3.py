"""The quarantine and the campaign's writer against a second opinion of S3 and Cognito, in process: moto's."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.campaigns.cognito import CognitoCampaigns, Outcome, Write
from chalicelib.quarantine import Quarantine, from_lines, quarantined

REJECTED = [
    quarantined("kinesis", "shardId-000000000000", "17", "not JSON", b"\xff\x00 whole, whatever it is"),
    quarantined("kinesis", "shardId-000000000000", "19", "no event_type", "é".encode("utf-16")),
]


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_PINPOINT"):
            patch.delenv(name, raising=False)
        yield


@pytest.mark.usefixtures("aws")
def test_what_is_set_aside_is_read_back_to_the_byte() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="quarantine")
    name = Quarantine(s3, "quarantine").keep(REJECTED)
    assert name == "quarantine/kinesis/shardId-000000000000/17-19.ndjson"
    read = from_lines(s3.get_object(Bucket="quarantine", Key=name)["Body"].read())
    assert read == REJECTED
    assert [one.received for one in read] == [b"\xff\x00 whole, whatever it is", "é".encode("utf-16")]


@pytest.mark.usefixtures("aws")
def test_a_batch_that_comes_again_is_set_aside_once() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="quarantine")
    for _ in range(2):
        Quarantine(s3, "quarantine").keep(REJECTED)
    assert s3.list_objects_v2(Bucket="quarantine")["KeyCount"] == 1


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_is_gone_fails_the_batch() -> None:
    # Catches: rejected records dropped because they could not be stored.
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Quarantine(boto3.client("s3", region_name="us-east-1"), "gone").keep(REJECTED)


@pytest.mark.usefixtures("aws")
def test_a_campaign_is_set_and_blanked_and_an_unknown_user_is_said_to_be_one() -> None:
    cognito = boto3.client("cognito-idp", region_name="us-east-1")
    schema = [{"Name": "campaign", "AttributeDataType": "String", "Mutable": True}]
    pool = cognito.create_user_pool(PoolName="customers", Schema=schema)["UserPool"]["Id"]  # type: ignore[arg-type]
    cognito.admin_create_user(UserPoolId=pool, Username="jane")
    campaigns = CognitoCampaigns(cognito, pool, "custom:campaign")

    def stands() -> str | None:
        user = cognito.admin_get_user(UserPoolId=pool, Username="jane")
        return {one["Name"]: one.get("Value") for one in user["UserAttributes"]}.get("custom:campaign")

    for text in ("Spring sale", ""):
        assert campaigns.write(Write("jane", text)).outcome is Outcome.WRITTEN
        assert stands() == text
    assert campaigns.write(Write("nobody", "Spring sale")).outcome is Outcome.UNKNOWN
