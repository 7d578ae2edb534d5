"""Short words for the records that the tables about the model use: one application, one midnight, plain names."""

from .facts import DAY, Record
from .histories import BASE
from .model import Credit, Outcome, Settings, run
from .records import email_click, email_open, endpoint, event, push_opened, step

APP = "app"
T = BASE  # a midnight, UTC
HOUR = 3_600_000
WEEK = 7 * DAY
USUAL = Settings()


def outcome(*told: Record, by: Settings = USUAL) -> Outcome:
    return run(told, {APP: by})[APP]


def only_credit(*told: Record, by: Settings = USUAL) -> Credit:
    (credit,) = outcome(*told, by=by).credits.values()
    return credit


def journey_and_basis(*told: Record, by: Settings = USUAL) -> tuple[str | None, str | None]:
    credit = only_credit(*told, by=by)
    return credit.journey_id, credit.basis


def click(journey: str, at: int, endpoint_id: str = "e1") -> Record:
    return email_click(APP, endpoint_id, journey, at)


def opened(journey: str, at: int, endpoint_id: str = "e1") -> Record:
    return email_open(APP, endpoint_id, journey, at)


def pushed(journey: str, at: int, endpoint_id: str = "e1") -> Record:
    return push_opened(APP, endpoint_id, journey, at)


def tagged(journey: str, at: int, endpoint_id: str = "e1", channel: str | None = None) -> Record:
    return step(APP, journey, {endpoint_id: endpoint(channel=channel)}, at=at)


def bought(at: int, endpoint_id: str | None = "e1", **attributes: str) -> Record:
    return event(APP, "purchase", at, client_id=endpoint_id, attributes=attributes)
