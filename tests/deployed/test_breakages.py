"""What breaks the deployed application raises the metric that an alarm of its template watches, and loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from chalicelib.settings.model import CognitoSettings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table
from tests.deployed.deployment import Deployment
from tests.deployed.test_deployed import MINUTE, now
from tests.observability.template import alarms, metrics_of, watched
from tests.reference.records import email_click, encode, event, send


@pytest.fixture(scope="module")
def viewer(deployed: Deployment) -> str:
    return deployed.sign_in("watcher", "viewers", "app:*")


@pytest.fixture(scope="module")
def admin(deployed: Deployment) -> str:
    return deployed.sign_in("keeper", "admins", "app:*")


@pytest.fixture
def began() -> int:
    return now()


@pytest.fixture(autouse=True)
def settled(deployed: Deployment) -> Iterator[None]:
    yield
    deployed.settle()


def grows(look: Callable[[], float], above: float) -> float:
    """What is looked at, as soon as it is more."""
    deadline = time.monotonic() + 30
    while (found := look()) <= above and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found > above
    return found


def errors_watched(alarm: str) -> set[str]:
    """The functions whose errors an alarm looks at."""
    return {
        one["Dimensions"][0]["Value"]["Ref"]
        for one in watched(alarms()[alarm])
        if (one["Namespace"], one["MetricName"]) == ("AWS/Lambda", "Errors")
    }


def purchases(application: str, number: int, at: int) -> list[bytes]:
    return [encode(event(application, "purchase", at + one, client_id="phone")) for one in range(number)]


def events_of(deployed: Deployment, application: str, token: str) -> Mapping[str, Any]:
    answer = deployed.call("GET", f"/applications/{application}/report", token)
    assert answer.status == 200, answer
    total: Mapping[str, Any] = answer.body["total"]["events"]
    return total


def test_a_consumer_without_its_right_to_the_facts_fails_until_it_has_it_again(
    deployed: Deployment, began: int, viewer: str
) -> None:
    before = deployed.errors("IngestEvents")
    with deployed.without_right("IngestEvents", "WriteFacts"):
        deployed.put(purchases("denied", 5, began))
        grows(lambda: deployed.errors("IngestEvents"), before)
        assert events_of(deployed, "denied", viewer) == {}
    assert "IngestEvents" in errors_watched("FunctionErrors")
    deployed.settle()
    assert events_of(deployed, "denied", viewer) == {"purchase": 5}


def test_a_producer_of_bad_records_fills_the_quarantine(deployed: Deployment, began: int, viewer: str) -> None:
    alarm = alarms()["QuarantineRate"]
    s3, bucket = deployed.client("s3"), deployed.outputs["QuarantineBucketName"]
    before = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", ())}
    deployed.put([*purchases("spoilt", 30, began), *(b"no record %d" % one for one in range(12))])
    deployed.settle()
    told = deployed.metrics("IngestEvents", began)
    by_name = {metric.name: sum(told[metric]) for metric in metrics_of(alarm)}
    assert by_name == {"Quarantined": 12, "RecordsIn": 42}
    # What its expression makes of them.
    assert by_name["Quarantined"] >= 10
    assert 100 * by_name["Quarantined"] / by_name["RecordsIn"] > alarm["Threshold"]
    # The records of one batch are lines of one object.
    objects = s3.list_objects_v2(Bucket=bucket)["Contents"]
    (new,) = [one["Key"] for one in objects if one["Key"] not in before]
    assert len(s3.get_object(Bucket=bucket, Key=new)["Body"].read().splitlines()) == 12
    assert events_of(deployed, "spoilt", viewer) == {"purchase": 30}


def touched(deployed: Deployment, application: str, names: list[str], at: int) -> None:
    """Customers whom a journey reached just now."""
    for name in names:
        deployed.register(name)
    records = []
    for name in names:
        records += [
            send(application, f"phone of {name}", "spring", at - MINUTE, user_name=name),
            email_click(application, f"phone of {name}", "spring", at),
        ]
    deployed.put([encode(one) for one in records])


def test_a_cognito_that_refuses_the_function_fails_it_until_it_does_not(deployed: Deployment, began: int) -> None:
    before = deployed.errors("SyncCampaigns")
    with deployed.without_right("SyncCampaigns", "SetCampaign"):
        touched(deployed, "locked", ["lea", "leo"], began)
        grows(lambda: deployed.errors("SyncCampaigns"), before)
        assert {deployed.campaign(name) for name in ("lea", "leo")} == {None}
    assert "SyncCampaigns" in errors_watched("FunctionErrors")
    deployed.settle()
    assert {deployed.campaign(name) for name in ("lea", "leo")} == {"spring"}


def test_a_pool_that_is_not_the_deployment_s_is_counted_customer_by_customer(
    deployed: Deployment, began: int, admin: str
) -> None:
    path = "/applications/astray/settings"
    known = deployed.call("GET", path, admin)
    elsewhere = "us-east-1_Elsewhere"
    changed = known.body | {"cognito": known.body["cognito"] | {"user_pool_id": elsewhere}}
    answer = deployed.call("PUT", path, admin, changed, **{"If-Match": known.headers["ETag"]})
    assert answer.status == 422, answer
    assert elsewhere in answer.body["detail"]
    # As if it had been saved when the deployment permitted it.
    settings = SettingsStore(Table(deployed.client("dynamodb"), deployed.resources["ViewsTable"]))
    cognito = CognitoSettings(user_pool_id=elsewhere)
    settings.change("astray", lambda old: msgspec.structs.replace(old, cognito=cognito))
    names = [f"customer {one}" for one in range(12)]
    touched(deployed, "astray", names, began)
    deployed.settle()
    alarm = alarms()["CampaignsNotTaken"]
    (metric,) = metrics_of(alarm)
    assert sum(deployed.metrics("SyncCampaigns", began)[metric]) == 12 >= alarm["Threshold"]
    assert {deployed.campaign(name) for name in names} == {None}
