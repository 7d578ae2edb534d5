"""The operations: what they understand, what they answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from chalice.app import MultiDict

from chalicelib import wiring
from chalicelib.api import compare_routes
from chalicelib.api.callers import Caller
from chalicelib.api.compare_routes import compare_models, preview_settings
from chalicelib.api.contract import OPERATIONS, Call, Problem
from chalicelib.api.decoding import decode_body, decode_query
from chalicelib.api.schemas.compare import CompareParams, CompareQuery, PreviewBody, params_of
from chalicelib.attribution.models import MODELS
from chalicelib.reports.comparison import Comparison
from chalicelib.reports.preview import Question
from chalicelib.reports.preview_changes import Changes
from chalicelib.reports.preview_figures import Preview
from chalicelib.settings.model import CustomInteraction, InteractionSetting, ValueSettings
from chalicelib.times import DAY_MS, to_iso
from tests.api.calls import call as request
from tests.api.calls import encoded
from tests.compare.test_compare import sale
from tests.projection.scene import Scene
from tests.reference.shorthand import HOUR, T, click

VIEWER = Caller("somebody", frozenset({"viewers", "app:*"}))


def call(application: str, query: Any = None, body: Any = None) -> Call[Any, Any]:
    return Call(application, {}, query, body, VIEWER, {}, T, "r1")


def get_compare(application: str, **query: str) -> Any:
    given = MultiDict({name.rstrip("_"): [value] for name, value in query.items()})
    answer = compare_models(call(application, decode_query(given, CompareQuery)))
    assert isinstance(answer, Comparison)
    return msgspec.json.decode(msgspec.json.encode(answer))


def post_preview(application: str, body: Mapping[str, object]) -> Any:
    answer = preview_settings(call(application, body=decode_body(msgspec.json.encode(body), PreviewBody)))
    assert isinstance(answer, Preview)
    return msgspec.json.decode(msgspec.json.encode(answer))


@pytest.fixture
def told(scene: Scene) -> Scene:
    scene.tell(click("j1", T), click("j2", T + 7 * DAY_MS - HOUR), sale(T + 7 * DAY_MS - 1, 9), sale(T + 7 * DAY_MS, 1))
    return scene


def test_all_models_of_a_period(told: Scene) -> None:
    found = get_compare(told.application, from_="2026-04-03T00:00:00Z", to=to_iso(T + 7 * DAY_MS))
    assert list(found["totals"]) == list(MODELS)
    assert {one["events"] for one in found["totals"].values()} == {"1"}
    assert [one["models"]["linear"] for one in found["journeys"]] == [{"events": "0.5", "revenue": {"USD": "4.50"}}] * 2
    assert (found["from"], found["to"], found["half_life_days"]) == (
        "2026-04-03T00:00:00.000Z",
        "2026-04-04T00:00:00.000Z",
        "7",
    )
    assert "the half-life is 7 days" in found["definitions"]["time_decay"]


def test_some_models_and_another_half_life(told: Scene) -> None:
    found = get_compare(told.application, models="time_decay, linear", half_life_days="0.5", event_type="purchase")
    assert list(found["totals"]) == ["time_decay", "linear"]
    assert found["half_life_days"] == "0.5"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"models": "markov"}, "models must name some of last_touch"),
        ({"models": "linear,linear"}, "none twice"),
        ({"half_life_days": "91"}, "half_life_days must be from 0.0417"),
        ({"half_life_days": "week"}, "half_life_days must be"),
        ({"from_": "2026-04-04", "to": "2026-04-04"}, "to must be later than from"),
        ({"from_": "yesterday"}, "from must be an ISO-8601"),
        ({"window": "3"}, "There is no parameter window"),
    ],
)
def test_comparisons_that_cannot_be(query: dict[str, str], says: str) -> None:
    with pytest.raises(Problem, match=says) as refused:
        get_compare("app", **query)
    assert refused.value.status == 400


def test_a_preview(told: Scene) -> None:
    found = post_preview(told.application, {"changes": {"lookback_window_days": 0.02}, "from": "2026-03-28"})
    assert (found["from"], found["to"]) == ("2026-03-28", None)
    assert found["total"]["changed"] == {"events": {"purchase": 2}, "revenue": {"USD": "10.00"}}
    assert found["unattributed"]["changed"] == {"events": {"purchase": 2}, "revenue": {"USD": "10.00"}}
    assert [(one["journey_id"], one["present"]["converters"]) for one in found["journeys"]] == [("j2", 1)]


def test_all_that_a_settings_document_says_of_attribution_can_be_tried_out() -> None:
    changes = {
        "lookback_window_days": 0.5,
        "interactions": {"email.open": {"counts": False, "window_days": None}},
        "custom_interactions": [{"event_type": "clicked", "window_days": 2}],
        "machine_opens": {"ignore": True, "user_agents": ["Bot"]},
        "events": {"included": None, "excluded": ["view"]},
        "value": {
            "price_metric": "cost",
            "quantity_metric": "quantity",
            "currency_attribute": "cur",
            "default_currency": "EUR",
            "refund_types": ["return"],
        },
    }
    asked = decode_body(msgspec.json.encode({"changes": changes, "to": "2026-04-01"}), PreviewBody).question("app")
    wanted = Changes(
        lookback_window_days=Decimal("0.5"),
        interactions={"email.open": InteractionSetting(counts=False)},
        custom_interactions=(CustomInteraction("clicked", days=Decimal(2)),),
        ignore_machine_opens=True,
        machine_user_agents=frozenset({"Bot"}),
        included_events=None,
        excluded_events=frozenset({"view"}),
        value=ValueSettings("cost", "quantity", "cur", "EUR", frozenset({"return"})),
    )
    assert asked == Question("app", wanted, None, "20260401")
    # A job is stored as JSON, and takes it up again as it was.
    assert msgspec.convert({**params_of(asked), "application": "app"}, Question) == asked


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "changes is missing"),
        ({"changes": {"window": 3}}, "There is no changes.window to set"),
        ({"changes": {"lookback_window_days": 366}}, r"0\.0007 \(one minute\) to 365"),
        ({"changes": {"interactions": {"sms.click": {"counts": True, "window_days": 1}}}}, "sms.click to set"),
        ({"changes": {"interactions": {"email.open": {"counts": True}}}}, "window_days is missing"),
        ({"changes": {"custom_interactions": [{"event_type": "a"}, {"event_type": "a"}]}}, "an event type twice"),
        ({"changes": {}, "from": "2026-04-04", "to": "2026-04-04"}, "to must be later than from"),
        ({"changes": {}, "from": "2026-04-04T00:00:00Z"}, "from must be a day"),
    ],
)
def test_previews_that_cannot_be(body: dict[str, object], says: str) -> None:
    with pytest.raises(Problem, match=says) as refused:
        post_preview("app", body)
    assert refused.value.status == 400


def test_too_much_for_a_request_is_for_a_job(told: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_routes, "MOST_EVENTS", 1)
    monkeypatch.setattr(compare_routes, "LONGEST_S", -1.0)
    with pytest.raises(Problem, match='of the kind "compare"') as refused:
        get_compare(told.application)
    assert refused.value.status == 422
    # All facts are read in one page, so the time that is over does not matter; of more pages it does.
    monkeypatch.setattr(wiring.previewer(), "_page", 1)
    with pytest.raises(Problem, match='of the kind "preview"') as refused:
        post_preview(told.application, {"changes": {}})
    assert refused.value.status == 422


def test_what_a_job_is_asked_by_is_what_a_request_is_asked_by(told: Scene) -> None:
    asked = {"from": "2026-04-03", "to": "2026-05-01", "half_life_days": 2, "models": ["linear"]}
    question = decode_body(msgspec.json.encode(asked), CompareParams).question(told.application)
    kind = wiring.comparer()
    state = kind.start({**params_of(question), "application": told.application, "job": "1"})
    state, _, _, finished = kind.step(state)
    assert finished
    in_request = get_compare(told.application, from_="2026-04-03", to="2026-05-01", half_life_days="2", models="linear")
    assert kind.result(state) == in_request

    body = decode_body(msgspec.json.encode({"changes": {"lookback_window_days": 2}}), PreviewBody)
    previewer = wiring.previewer()
    state = previewer.start({**params_of(body.question(told.application)), "application": told.application, "job": "1"})
    state, _, _, finished = previewer.step(state)
    assert finished
    shown = post_preview(told.application, {"changes": {"lookback_window_days": 2}})
    assert previewer.result(state) == shown


def test_who_may_ask() -> None:
    access = {one.id: one.access for one in OPERATIONS}
    assert access["compare_models"] == "viewer"
    assert access["preview_settings"] == "marketer"


def test_through_the_applications_routing(told: Scene) -> None:
    root = f"/applications/{encoded(told.application)}"
    status, compared = request("GET", f"{root}/compare?models=linear", groups=("viewers", "app:*"))
    assert (status, compared["totals"]["linear"]["events"]) == (200, "2")
    body = b'{"changes": {"lookback_window_days": 0.02}}'
    status, previewed = request("POST", f"{root}/settings/preview", body, groups=("marketers", "app:*"))
    assert (status, previewed["unattributed"]["changed"]["events"]) == (200, {"purchase": 2})
