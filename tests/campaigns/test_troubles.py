"""What Cognito does not take: nothing is lost unseen, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from chalicelib import functions, observability, wiring
from chalicelib.campaigns.sync import ATTEMPTS, Synced
from tests.campaigns.fakes import Names, Pool, Sync, campaign, changed, sequence
from tests.projection.scene import Scene

J1, J2 = campaign("j1"), campaign("j2")

REFUSALS = {
    # Code and message as Cognito gives them, and the reason that is logged.
    "attribute not declared": (
        "InvalidParameterException",
        "Attributes did not conform to the schema: custom:campaign: Attribute does not exist in the schema.\n",
        "attribute not declared in the pool",
    ),
    "value too long": (
        "InvalidParameterException",
        "Attributes did not conform to the schema: custom:campaign: String must be no longer than 256 characters\n",
        "value too long for the attribute",
    ),
    "no such user name": ("InvalidParameterException", "Value 'jim' at 'username' ...", "InvalidParameterException"),
    "no such pool": ("ResourceNotFoundException", "User pool pool does not exist.", "ResourceNotFoundException"),
}


@pytest.mark.parametrize(("code", "message", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_counted_with_its_reason_and_stops_nobody(code: str, message: str, reason: str) -> None:
    pool = Pool(["jane", "jim"], trouble={"jim": (code, message)})
    result = Sync(pool)([changed("jim", None, J1), changed("jane", None, J1)])
    assert pool.campaigns["jane"] == "j1"
    assert result == Synced(written=1, refused=1, lag=0, reasons={reason: 1})
    assert pool.calls == 2


def test_a_user_whom_the_pool_does_not_know_stops_nobody() -> None:
    pool = Pool(["jane"])
    result = Sync(pool)([changed("nobody", None, J1), changed("jane", None, J1)])
    assert result == Synced(written=1, unknown=1, lag=0, reasons={"UserNotFoundException": 1})
    assert pool.campaigns["jane"] == "j1"


def test_without_a_pool_campaigns_are_in_the_views_only() -> None:
    names = Names()
    assert Sync(None, names)([changed("jane", None, J1)]) == Synced(lag=0)
    assert names.asked == []


def test_an_empty_user_pool_id_is_no_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_POOL_ID", "")
    wiring.campaign_sync.cache_clear()
    try:
        assert functions.sync({"Records": [changed("jane", None, J1)]}) == {"batchItemFailures": []}
    finally:
        wiring.campaign_sync.cache_clear()


def test_when_cognito_throttles_until_the_time_is_up_the_batch_comes_again_from_there() -> None:
    users = [f"user {number}" for number in range(5)]
    batch = [changed(user, None, J1) for user in users]
    pool = Pool(users)
    pool.throttle_from_call(3)
    sync = Sync(pool)
    result = sync(batch)
    assert (result.written, result.waiting, result.failed) == (2, 3, sequence(batch[2]))
    assert result.throttles == pool.throttled
    assert 270 < sync.time.seconds <= 290  # It waits: each answer of "not yet" would be one of Lambda's 1,000 attempts.
    assert pool.throttled < 40
    pool.recover()
    assert sync(batch[2:]).written == 3
    assert [user for user, _ in pool.writes] == users  # none of them twice


def test_a_moment_s_throttling_is_waited_out() -> None:
    pool = Pool(["jane", "jim"])
    pool.is_throttling = lambda: pool.time.seconds < 3
    result = Sync(pool)([changed("jane", None, J1), changed("jim", None, J1)])
    assert (result.written, result.failed, pool.time.seconds < 8) == (2, None, True)


def test_nothing_is_lost_by_throttling_among_several_changes_of_users() -> None:
    # Catches: the first change of a user reported as the failed one, though others before their last are not written.
    batch = [
        changed("jane", None, J1),
        changed("joan", None, J1),
        changed("jane", J1, J2),
        changed("jim", None, J1),
        changed("joan", J1, J2),
    ]
    for call in (1, 2, 3):
        pool = Pool(["jane", "joan", "jim"])
        pool.throttle_from_call(call)
        sync = Sync(pool)
        failed = sync(batch).failed
        pool.recover()
        rest = [record for record in batch if int(sequence(record)) >= int(failed or 0)]
        assert sync(rest).failed is None
        assert pool.campaigns == {"jane": "j2", "joan": "j2", "jim": "j1"}


def test_with_little_time_left_nothing_is_begun() -> None:
    pool = Pool(["jane"])
    batch = [changed("jane", None, J1)]
    result = Sync(pool)(batch, seconds=10)
    assert (result.failed, result.waiting, pool.calls) == (sequence(batch[0]), 1, 0)


def test_a_user_on_whom_cognito_fails_is_answered_for_when_the_others_are_written() -> None:
    batch = [changed("jane", None, J1), changed("jim", None, J1), changed("joan", None, J1)]
    pool = Pool(["jane", "jim", "joan"], trouble={"jim": ("InternalErrorException", "jim")})
    sync = Sync(pool)
    result = sync(batch)
    assert (result.written, result.failed, result.stuck) == (2, sequence(batch[1]), False)
    assert result.reasons == {"InternalErrorException": ATTEMPTS}
    assert sync.time.seconds < 10
    # It comes again as the first: now it is stuck, and is to be bisected out.
    assert sync(batch[1:]).stuck


NETWORK = [ReadTimeoutError(endpoint_url="https://cognito"), EndpointConnectionError(endpoint_url="https://cognito")]


@pytest.mark.parametrize("trouble", NETWORK, ids=["no answer", "out of reach"])
def test_what_the_network_lost_comes_again(trouble: Exception) -> None:
    def fail() -> None:
        raise trouble

    batch, pool = [changed("jane", None, J1)], Pool(["jane"])
    pool.before_call = fail
    result = Sync(pool)(batch)
    assert (result.failed, result.stuck, result.throttles) == (sequence(batch[0]), True, 0)


def test_a_stuck_record_fails_the_function_and_the_metrics_name_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(["jane"], trouble={"jane": ("InternalErrorException", "of jane")})
    sync = Sync(pool)
    monkeypatch.setattr(wiring, "campaign_sync", lambda: sync.part)
    said: list[Any] = []
    monkeypatch.setattr(functions, "count", lambda **counts: said.append(counts))
    monkeypatch.setattr(observability.logger, "warning", lambda *words, **extra: said.append((words, extra)))
    monkeypatch.setattr(observability.metrics, "add_metric", lambda **metric: said.append(metric))
    with pytest.raises(functions.CognitoFails, match=r"^InternalErrorException$"):
        functions.sync({"Records": [changed("jane", None, J1)]}, sync.time.deadline())
    counts, lag, (words, extra) = said
    assert (counts["CampaignsWaiting"], counts["CognitoThrottles"]) == (1, 0)
    assert lag["name"] == "CampaignLagSeconds"
    assert "jane" not in f"{words}{extra}"


def test_what_waits_is_told_with_its_age() -> None:
    pool = Pool(["jane", "jim", "joan"])
    sync = Sync(pool)
    batch = [changed(user, None, J1, seconds=at) for at, user in enumerate(["jane", "jim", "joan"])]
    sync.time.seconds = 100
    assert sync(batch).lag == 98  # nothing in this batch; what waits behind it is younger than its last record
    pool.throttle_from_call(pool.calls + 2)
    result = sync(batch)
    assert (result.waiting, result.lag) == (2, int(sync.time.seconds) - 1)
