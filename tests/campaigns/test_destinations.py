"""Pools and attributes of applications' own: where a campaign is written (R7)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.campaigns.cognito import CognitoCampaigns, PacedWriter, PermittedDestinations, bucket_for
from chalicelib.campaigns.sync import CampaignSync, Synced
from chalicelib.settings.model import CognitoSettings, Settings
from chalicelib.settings.store import SettingsStore
from tests.campaigns.fakes import AtOnce, Names, Time, Views, campaign, changed, error

Json = dict[str, Any]

PERMITTED = PermittedDestinations(["other"], ["custom:journey"])


class Pools:
    """Cognito with pools that know every user; what was written to which, and in what order."""

    def __init__(self, **trouble: str) -> None:
        self.writes: list[tuple[str, str, str, str]] = []
        self._trouble = trouble

    def admin_update_user_attributes(self, UserPoolId: str, Username: str, UserAttributes: list[Json]) -> Json:  # noqa: N803 - boto3's own names
        if code := self._trouble.get(UserPoolId):
            raise error(code)
        (attribute,) = UserAttributes
        self.writes.append((UserPoolId, Username, attribute["Name"], attribute["Value"]))
        return {}


def synced(
    pools: Pools,
    applications: dict[str, CognitoSettings],
    records: list[Json],
    pool: str | None = "own",
    permitted: PermittedDestinations = PERMITTED,
) -> Synced:
    """What becomes of change records in a deployment with this pool."""
    views, time = Views(), Time()
    for application, cognito in applications.items():
        views.keep(application, Settings(cognito=cognito))
    for record in records:
        views.apply(record)
    writes_to = CognitoCampaigns(pools, pool, "custom:campaign", permitted)  # type: ignore[arg-type]
    writer = PacedWriter(writes_to, bucket_for(20, time), AtOnce())
    sync = CampaignSync(views, SettingsStore(views), writer, Names(), time, time)  # type: ignore[arg-type]
    return sync.sync(records, time.deadline(300))


def came(user: str, application: str, journey: str) -> Json:
    return changed(user, None, campaign(journey), application=application)


def test_an_application_has_a_pool_and_an_attribute_of_its_own() -> None:
    pools = Pools()
    applications = {
        "a": CognitoSettings(),
        "b": CognitoSettings(user_pool_id="other"),
        "c": CognitoSettings(attribute="custom:journey"),
        "d": CognitoSettings(user_pool_id="other", attribute="custom:journey"),
    }
    records = [came(f"jane of {name}", name, "j1") for name in applications]
    assert synced(pools, applications, records).written == 4
    assert pools.writes == [
        ("own", "jane of a", "custom:campaign", "j1"),
        ("other", "jane of b", "custom:campaign", "j1"),
        ("own", "jane of c", "custom:journey", "j1"),
        ("other", "jane of d", "custom:journey", "j1"),
    ]


def test_users_of_one_name_in_several_pools_are_several_users() -> None:
    # Catches: the change of one application taken for an older one of the other's user.
    pools = Pools()
    applications = {"a": CognitoSettings(), "b": CognitoSettings(user_pool_id="other")}
    synced(pools, applications, [came("jane", "a", "j1"), came("jane", "b", "j2")])
    assert pools.writes == [("own", "jane", "custom:campaign", "j1"), ("other", "jane", "custom:campaign", "j2")]


def test_of_applications_that_share_a_pool_the_last_change_is_written() -> None:
    pools = Pools()
    applications = {"a": CognitoSettings(), "b": CognitoSettings(user_pool_id=None)}
    synced(pools, applications, [came("jane", "a", "j1"), came("jane", "b", "j2")])
    assert pools.writes == [("own", "jane", "custom:campaign", "j2")]


def test_an_application_may_keep_its_campaigns_in_the_views() -> None:
    pools = Pools()
    applications = {"a": CognitoSettings(enabled=False, user_pool_id="other"), "b": CognitoSettings()}
    found = synced(pools, applications, [came("joe", "a", "j1"), came("jane", "b", "j1")])
    assert (found.written, found.waiting, found.failed) == (1, 0, None)
    assert [one[1] for one in pools.writes] == ["jane"]


def test_a_deployment_without_a_pool_serves_applications_that_have_one() -> None:
    pools = Pools()
    applications = {"a": CognitoSettings(), "b": CognitoSettings(user_pool_id="other")}
    synced(pools, applications, [came("joe", "a", "j1"), came("jane", "b", "j1")], pool=None)
    assert [one[:2] for one in pools.writes] == [("other", "jane")]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_pool_that_settings_name_wrongly_does_not_hold_up_the_others(code: str) -> None:
    pools = Pools(other=code)
    applications = {"a": CognitoSettings(user_pool_id="other"), "b": CognitoSettings()}
    found = synced(pools, applications, [came("joe", "a", "j1"), came("jane", "b", "j1")])
    assert (found.refused, found.written, found.failed) == (1, 1, None)


def test_the_deployments_own_pool_denied_is_tried_again() -> None:
    # It is the deployment that is wrong, and can be mended.
    found = synced(Pools(own="AccessDeniedException"), {"a": CognitoSettings()}, [came("jane", "a", "j1")])
    assert (found.refused, found.waiting, found.stuck) == (0, 1, True)


# --- what the deployment permits ---


@pytest.mark.parametrize("cognito", [CognitoSettings(user_pool_id="strange"), CognitoSettings(attribute="custom:role")])
def test_what_the_deployment_does_not_permit_is_not_written_but_counted(cognito: CognitoSettings) -> None:
    # Catches: settings that were saved before the deployment said what it permits.
    pools = Pools()
    found = synced(pools, {"a": cognito, "b": CognitoSettings()}, [came("joe", "a", "j1"), came("jane", "b", "j1")])
    assert (found.refused, found.written, found.failed) == (1, 1, None)
    assert found.reasons == {"pool or attribute not permitted by the deployment": 1}
    assert pools.writes == [("own", "jane", "custom:campaign", "j1")]


OWN = {"USER_POOL_ID": "eu-west-1_Own", "CAMPAIGN_ATTRIBUTE": "custom:offer"}

PERMITS = {
    # environment, pool, attribute, whether
    "nothing said: the attribute that is usual": ({}, None, "custom:campaign", True),
    "nothing said: no other": ({}, None, "custom:role", False),
    "nothing said: no pool": ({}, "eu-west-1_Other", None, False),
    "the deployment's own by name": (OWN, "eu-west-1_Own", "custom:offer", True),
    "left to the deployment": (OWN, None, None, True),
    "named": ({"COGNITO_ALLOWED_ATTRIBUTES": "custom:a, custom:b"}, None, "custom:b", True),
    "not named": ({"COGNITO_ALLOWED_ATTRIBUTES": "custom:a, custom:b"}, None, "custom:campaign", False),
    "no pattern for attributes": ({"COGNITO_ALLOWED_ATTRIBUTES": "*"}, None, "custom:role", False),
    "a pool named": ({"COGNITO_ALLOWED_POOLS": "eu-west-1_A,eu-west-1_B"}, "eu-west-1_B", None, True),
    "another one": ({"COGNITO_ALLOWED_POOLS": "eu-west-1_A,eu-west-1_B"}, "eu-west-1_C", None, False),
    "all pools": ({"COGNITO_ALLOWED_POOLS": "*"}, "eu-west-1_C", None, True),
    "none": ({"COGNITO_ALLOWED_POOLS": "none"}, "eu-west-1_C", None, False),
}


@pytest.mark.parametrize(("environment", "pool", "attribute", "permitted"), PERMITS.values(), ids=PERMITS)
def test_the_environment_says_what_the_deployment_permits(
    environment: dict[str, str], pool: str | None, attribute: str | None, permitted: bool
) -> None:
    assert (PermittedDestinations.of(environment).flaw_of(pool, attribute) is None) is permitted
