"""The campaign attribute of a Cognito user pool's users, written at the pace that Cognito's quota allows.

Updates of users share 25 requests a second in an account and region, which AWS does not raise. Everything that
updates users there draws on them, so this leaves some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from chalicelib.campaigns.pacing import Timer, TokenBucket

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

QUOTA = 25
"""Updates of users a second, per account and region."""

DEFAULT_RATE = 20.0
"""Of them, what this takes unless it is set."""

DEFAULT_ATTRIBUTE = "custom:campaign"
"""The deployment's own, unless it is set."""

LONGEST_VALUE = 2_048
"""Of a Cognito attribute, in characters."""

WRITERS = 5
"""Calls under way at a time: one takes some 50 to 150 ms, so one after the other would not use the quota."""

_THROTTLES = {"TooManyRequestsException", "ThrottlingException", "RequestLimitExceeded"}
_UNKNOWN = {"UserNotFoundException"}
_REFUSALS = {"InvalidParameterException", "ResourceNotFoundException"}


class Outcome(Enum):
    """What Cognito made of a write."""

    WRITTEN = "written"
    UNKNOWN = "the pool has no such user"
    REFUSED = "will not be taken, however often it is tried"
    THROTTLED = "too many requests"
    FAILED = "no answer, or one that may be another the next time"
    UNTRIED = "its turn did not come"


class Answer(NamedTuple):
    """``reason`` says why it was not written, in words that name nobody."""

    outcome: Outcome
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether trying again would change nothing."""
        return self.outcome not in (Outcome.THROTTLED, Outcome.FAILED, Outcome.UNTRIED)


class Destination(NamedTuple):
    """Where an application's campaigns are written; None: the deployment's own."""

    pool: str | None = None
    attribute: str | None = None


THE_DEPLOYMENTS = Destination()


class PermittedDestinations(NamedTuple):
    """Where the deployment lets settings send campaigns, besides its own pool and attribute.

    Whoever administers one application must not write into other attributes of customers, such as a role.

    Attributes
    ----------
    pools
        Ids of user pools, in which ``*`` is any text.
    attributes
        Names of attributes.
    """

    pools: Collection[str] = ()
    attributes: Collection[str] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """As ``COGNITO_ALLOWED_POOLS`` and ``COGNITO_ALLOWED_ATTRIBUTES`` say, with commas between them."""
        pools, attributes = (
            [one.strip() for one in environment.get(name, default).split(",") if one.strip()]
            for name, default in (("COGNITO_ALLOWED_POOLS", ""), ("COGNITO_ALLOWED_ATTRIBUTES", DEFAULT_ATTRIBUTE))
        )
        own = (environment.get("USER_POOL_ID"), environment.get("CAMPAIGN_ATTRIBUTE"))
        return cls([*pools, *filter(None, own[:1])], [*attributes, *filter(None, own[1:])])

    def flaw_of(self, pool: str | None, attribute: str | None) -> str | None:
        """Why campaigns must not be written there, as a sentence; None where they may. None: the deployment's own."""
        if pool is not None and not any(fnmatchcase(pool, one) for one in self.pools):
            return f"cognito.user_pool_id {pool} is not among the pools that the deployment permits."
        if attribute is not None and attribute not in self.attributes:
            return f"cognito.attribute {attribute} is not among the attributes that the deployment permits."
        return None


THE_DEPLOYMENTS_ONLY = PermittedDestinations()


class Write(NamedTuple):
    """A user's campaign to be set; blank text for none."""

    user_name: str
    campaign: str
    destination: Destination = THE_DEPLOYMENTS


class CognitoCampaigns:
    """The campaign attribute of the users of Cognito user pools.

    Parameters
    ----------
    pool
        The deployment's own; None where it has none.
    attribute
        The deployment's own.
    permitted
        Other pools and attributes that settings may name. It is looked at here again, since settings may have been
        saved when the deployment permitted more.
    """

    def __init__(
        self,
        cognito: CognitoIdentityProviderClient,
        pool: str | None,
        attribute: str,
        permitted: PermittedDestinations = THE_DEPLOYMENTS_ONLY,
    ) -> None:
        self._permitted = permitted
        self._cognito = cognito
        self._pool = pool
        self._attribute = attribute

    def reaches(self, destination: Destination) -> bool:
        """Whether there is a pool to write to."""
        return bool(destination.pool or self._pool)

    def write(self, write: Write) -> Answer:
        """Set a user's campaign. Doing it again changes nothing."""
        pool, attribute = write.destination
        if self._permitted.flaw_of(pool, attribute):
            return Answer(Outcome.REFUSED, "pool or attribute not permitted by the deployment")
        try:
            self._cognito.admin_update_user_attributes(
                UserPoolId=pool or self._pool or "",
                Username=write.user_name,
                UserAttributes=[{"Name": attribute or self._attribute, "Value": write.campaign[:LONGEST_VALUE]}],
            )
        except ClientError as error:
            # A pool that an application's settings name must not hold up the campaigns of the others.
            if pool and error.response.get("Error", {}).get("Code") == "AccessDeniedException":
                return Answer(Outcome.REFUSED, "pool not permitted to the deployment")
            return _answer(error)
        except ParamValidationError:
            return Answer(Outcome.REFUSED, "no valid request")
        except BotoCoreError as error:
            return Answer(Outcome.FAILED, type(error).__name__)
        return Answer(Outcome.WRITTEN)


def _answer(error: ClientError) -> Answer:
    """Cognito's own message is not passed on, since it may quote the user name."""
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    if code in _THROTTLES:
        return Answer(Outcome.THROTTLED, code)
    if code in _UNKNOWN:
        return Answer(Outcome.UNKNOWN, code)
    if code not in _REFUSALS:
        return Answer(Outcome.FAILED, code)
    if "does not exist in the schema" in message:
        return Answer(Outcome.REFUSED, "attribute not declared in the pool")
    if "no longer than" in message:
        return Answer(Outcome.REFUSED, "value too long for the attribute")
    return Answer(Outcome.REFUSED, code)


class PacedWriter:
    """Writes the campaigns of different users, several at a time, at the bucket's pace, which all pools share."""

    def __init__(self, cognito: CognitoCampaigns, bucket: TokenBucket, executor: Executor) -> None:
        self._cognito = cognito
        self._bucket = bucket
        self._executor = executor

    def reaches(self, destination: Destination) -> bool:
        """Whether there is a pool to write to."""
        return self._cognito.reaches(destination)

    def write(self, writes: Sequence[Write], seconds_left: Callable[[], float]) -> list[Answer]:
        """Answers to the writes, in their order. No two may be of one user, for they may overtake each other.

        Once Cognito throttles or the time is up, the others are not tried. All that were have ended when this
        returns: a function that is frozen with a call under way would finish it after a later one.
        """
        tried: list[Future[Answer]] = []
        for write in writes:
            if any(one.done() and one.result().outcome is Outcome.THROTTLED for one in tried):
                break
            under_way = [one for one in tried if not one.done()]
            if len(under_way) >= WRITERS:
                # A queue of calls that time out would last beyond the function's deadline.
                wait(under_way, return_when=FIRST_COMPLETED)
            if not self._bucket.take(seconds_left()):
                break
            tried.append(self._executor.submit(self._cognito.write, write))
        return [one.result() for one in tried] + [Answer(Outcome.UNTRIED)] * (len(writes) - len(tried))


def bucket_for(rate: float, timer: Timer = time) -> TokenBucket:
    """A bucket of ``rate`` updates a second. Half of what that leaves of the quota may come at once after a pause."""
    return TokenBucket(rate, max(1, int(QUOTA - rate) // 2), timer)
