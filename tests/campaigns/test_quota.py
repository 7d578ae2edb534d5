"""Cognito's 25 updates a second: many users drain at the quota's pace, in order, and none is lost (R7).

Lambda is played here: batches of a shard in order, and after an answer that names a record from there again.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.campaigns.cognito import Answer, Outcome, PacedWriter, Write, bucket_for
from chalicelib.campaigns.pacing import Backoff, TokenBucket
from chalicelib.campaigns.sync import SPARED_MS
from tests.campaigns.fakes import Json, Pool, Sync, Time, Views, campaign, changed, sequence

RATE = 20
BATCH = 100
TIMEOUT = 300.0


class Shard:
    """Change records, each at the second at which it happens, in the views and in the stream."""

    def __init__(self, pool: Pool, happenings: list[tuple[float, Json]]) -> None:
        self.sync = Sync(pool, views=Views())
        self.pool = pool
        self.deliveries = 0
        self.longest = 0.0
        self.waiting: list[int] = []
        self.lags: list[int] = []
        self._happenings = happenings
        self._happened = 0
        self._left: list[Json] = []
        pool.before_call = self.happen

    def happen(self) -> None:
        """The world goes on while the function waits for its turn."""
        while self._happened < len(self._happenings) and self._happenings[self._happened][0] <= self.pool.time.seconds:
            record = self._happenings[self._happened][1]
            self.sync.views.apply(record)
            self._left.append(record)
            self._happened += 1

    def drain(self) -> float:
        """Deliver until nothing is left; the seconds that took."""
        while True:
            self.happen()
            if not self._left:
                if self._happened == len(self._happenings):
                    return self.pool.time.seconds
                self.pool.time.seconds = self._happenings[self._happened][0]
                continue
            self._deliver(self._left[:BATCH])

    def _deliver(self, batch: list[Json]) -> None:
        began = self.pool.time.seconds
        result = self.sync(batch, TIMEOUT)
        self.deliveries += 1
        self.longest = max(self.longest, self.pool.time.seconds - began)
        self.waiting.append(result.waiting)
        self.lags.append(result.lag or 0)
        done = (
            batch.index(next(one for one in batch if sequence(one) == result.failed)) if result.failed else len(batch)
        )
        self._left = self._left[done:]


def happenings_of(changes: list[tuple[float, str, str | None]]) -> list[tuple[float, Json]]:
    """Users' campaigns one after the other: seconds, user, journey."""
    state: dict[str, str | None] = {}
    told = []
    for at, user, journey in changes:
        before = campaign(state[user]) if user in state else None
        told.append((at, changed(user, before, campaign(journey), seconds=at)))
        state[user] = journey
    return told


def written_to(pool: Pool) -> dict[str, list[str]]:
    written: dict[str, list[str]] = defaultdict(list)
    for user, text in pool.writes:
        written[user].append(text)
    return written


def test_10_000_tagged_users_drain_at_the_quota_s_pace() -> None:
    users = [f"user {number}" for number in range(10_000)]
    pool = Pool(users)
    shard = Shard(pool, happenings_of([(0, user, "j1") for user in users]))
    took = shard.drain()
    assert pool.campaigns == dict.fromkeys(users, "j1")
    assert [user for user, _ in pool.writes] == users  # each once, in order
    assert took == pytest.approx(10_000 / RATE, rel=0.01)
    assert (pool.throttled, pool.busiest <= 25) == (0, True)
    assert shard.lags[0] <= 6  # the first batch waited for nobody,
    assert shard.lags[-1] == pytest.approx(took, abs=1)  # the last one for all
    # Campaigns and settings of 20 users, and of each batch the pools; not a call for each user.
    assert shard.sync.views.reads <= 2 * 10_000 / 20 + 10_000 / 100


def test_what_waits_is_written_once_in_its_last_state() -> None:
    # Each of 1,000 users goes through ten campaigns before Cognito hears of the first, in a hundred batches.
    users = [f"user {number}" for number in range(1_000)]
    pool = Pool(users)
    shard = Shard(pool, happenings_of([(0, user, f"j{turn}") for turn in range(10) for user in users]))
    took = shard.drain()
    assert pool.campaigns == dict.fromkeys(users, "j9")
    assert len(pool.writes) == 1_000
    assert took == pytest.approx(1_000 / RATE, rel=0.02)


def histories(seed: int, users: int, seconds: float) -> list[tuple[float, str, str | None]]:
    """Touches, returns to earlier journeys, and windows that end, of busy and of idle users."""
    chance = random.Random(seed)
    state: dict[str, str | None] = {}
    changes: list[tuple[float, str, str | None]] = []
    for at in sorted(chance.uniform(0, seconds) for _ in range(users * 4)):
        user = f"user {int(users * chance.random() ** 3)}"
        journey = chance.choice([one for one in ("j1", "j2", "j3", None) if one != state.get(user)])
        changes.append((at, user, journey))
        state[user] = journey
    return changes


def assert_in_order(changes: list[tuple[float, str, str | None]], pool: Pool) -> None:
    """What was written of a user is a part of what happened, in that order, and ends where that ends."""
    happened: dict[str, list[str]] = defaultdict(list)
    for _, user, journey in changes:
        happened[user].append(journey or "")
    for user, texts in happened.items():
        left = iter(texts)
        # Two deliveries, or a return to an earlier campaign, may write one text twice.
        told = [text for text, _ in itertools.groupby(written_to(pool)[user])]
        assert all(any(text == one for one in left) for text in told), (user, texts, told)
        assert (pool.campaigns[user] or "") == texts[-1]


STORMS: dict[str, Callable[[float], bool]] = {
    "no throttling": lambda _: False,
    "throttling for seven minutes": lambda now: 30 < now < 450,
    "throttling in every second minute": lambda now: int(now / 60) % 2 == 1,
    # Others use the quota too: the account's own sign-ups and profile changes.
    "every third call": lambda now: int(now * 1000) % 3 == 0,
}


@pytest.mark.parametrize("storm", STORMS.values(), ids=STORMS)
@pytest.mark.parametrize("seed", range(3))
def test_users_go_on_changing_while_cognito_throttles(storm: Callable[[float], bool], seed: int) -> None:
    changes = histories(seed, users=300, seconds=200)
    pool = Pool({user for _, user, _ in changes})
    pool.is_throttling = lambda: storm(pool.time.seconds)
    shard = Shard(pool, happenings_of(changes))
    shard.drain()
    assert_in_order(changes, pool)
    assert pool.busiest <= 25
    assert shard.longest <= TIMEOUT - SPARED_MS / 1000


def test_minutes_of_throttling_cost_few_calls_and_the_backlog_a_call_per_user() -> None:
    changes = histories(0, users=300, seconds=200)
    pool = Pool({user for _, user, _ in changes})
    pool.is_throttling = lambda: pool.time.seconds < 500
    shard = Shard(pool, happenings_of(changes))
    took = shard.drain()
    assert pool.throttled < 500 / 10 + 20
    assert shard.deliveries < 20  # of Lambda's 1,000 attempts
    assert max(shard.waiting) > 0
    # More than a call per user: one who came back to an earlier campaign is written at each change to it.
    assert len(pool.campaigns) <= len(pool.writes) < len(changes) / 3
    assert took < 500 + 10 + len(pool.writes) / RATE + 1


def test_a_slow_cognito_is_never_asked_too_often() -> None:
    users = [f"user {number}" for number in range(500)]
    pool = Pool(users, takes=0.07)
    Shard(pool, happenings_of([(0, user, "j1") for user in users])).drain()
    assert (pool.throttled, pool.busiest <= 25) == (0, True)


# --- the parts ---


@pytest.mark.parametrize(("rate", "burst"), [(25, 1), (20, 2), (20, 5), (1, 1), (0.5, 1), (24, 1)])
def test_no_second_sees_more_than_the_rate_and_the_burst(rate: float, burst: int) -> None:
    time, chance = Time(), random.Random(1)
    bucket, passed = TokenBucket(rate, burst, time), []
    for _ in range(500):
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 2 / rate))
        assert bucket.take(patience=60)
        passed.append(time.seconds)
    for at, first in enumerate(passed):
        assert sum(1 for one in passed[at:] if one < first + 1 - 1e-9) <= max(1, rate + burst - 1)


def test_a_bucket_does_not_wait_longer_than_it_may() -> None:
    time = Time()
    bucket = TokenBucket(2, 1, time)
    assert bucket.take(0)
    assert not bucket.take(0.4)
    assert time.seconds == 0
    assert bucket.take(0.5)
    assert time.seconds == 0.5


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (20, 0)])
def test_a_rate_at_which_nothing_would_pass_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="no calls can pass"):
        TokenBucket(rate, burst)


@pytest.mark.parametrize("rate", [1.0, 10.0, 20.0, 24.0, 25.0])
def test_the_pool_s_bucket_keeps_to_the_quota_at_any_rate(rate: float) -> None:
    time, pool = Time(), Pool(["jane"])
    pool.time = time
    bucket = bucket_for(rate, time)
    for _ in range(200):
        assert bucket.take(60)
        pool.admin_update_user_attributes("pool", "jane", [{"Name": "custom:campaign", "Value": ""}])
    assert pool.busiest <= 25


def test_waits_between_attempts_double_up_to_the_longest() -> None:
    backoff = Backoff(first=1, longest=10)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 1


def test_calls_overlap_and_all_have_ended_when_the_writer_returns() -> None:
    # One after the other, calls of a tenth of a second would use half of the quota.
    together = threading.Barrier(3)

    class Slow:
        def write(self, write: Write) -> Answer:
            together.wait(timeout=5)
            return Answer(Outcome.WRITTEN)

    with ThreadPoolExecutor(3) as threads:
        writer = PacedWriter(Slow(), TokenBucket(1000), threads)  # type: ignore[arg-type]
        answers = writer.write([Write(f"user {number}", "j1") for number in range(3)], lambda: 60)
    assert answers == [Answer(Outcome.WRITTEN)] * 3


def test_no_more_calls_are_under_way_than_end_before_the_deadline() -> None:
    # Catches: twenty calls queued that time out after five seconds each.
    lock, under_way, most = threading.Lock(), 0, 0

    class Slow:
        def write(self, write: Write) -> Answer:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.01)
            with lock:
                under_way -= 1
            return Answer(Outcome.WRITTEN)

    with ThreadPoolExecutor(20) as threads:
        writer = PacedWriter(Slow(), TokenBucket(100_000, 100), threads)  # type: ignore[arg-type]
        writer.write([Write(f"user {number}", "j1") for number in range(20)], lambda: 60)
    assert 1 < most <= 5
