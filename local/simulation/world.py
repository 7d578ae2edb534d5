"""Who and what exists: applications, their journeys, and people.

People are computed from their number whenever they are needed and never stored, so a run of any size needs the same
memory and a person is the same for the whole run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from local.simulation.chance import digest, share, uuid_like

Channel = Literal["EMAIL", "SMS", "PUSH", "CUSTOM"]

ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Journey:
    """A journey with one kind of message.

    `weight` is its part of its application's sends, `appeal` how much more than average people react to it.
    """

    journey_id: str
    name: str
    channel: Channel
    run_id: str
    activities: tuple[str, ...]
    weight: float
    appeal: float

    @property
    def link(self) -> str:
        """The address that its messages point to."""
        return f"https://shop.example.com/{self.journey_id[:8]}?utm_source=pinpoint"


@dataclass(frozen=True, slots=True)
class Application:
    """A Pinpoint application: a shop with its app, its sender address and its journeys."""

    app_id: str
    title: str
    currencies: tuple[str, ...]
    journeys: tuple[Journey, ...]

    @property
    def package(self) -> str:
        """The name of its mobile app."""
        return f"com.example.{self.title.lower().replace(' ', '')}"

    @property
    def sender(self) -> str:
        """The address that its e-mails come from."""
        return f"hello@{self.title.lower().replace(' ', '')}.example.com"


@dataclass(frozen=True, slots=True)
class Device:
    """What an app's SDK says about where it runs. `channel` is the push service of its endpoint."""

    make: str
    model: str
    platform: str
    version: str
    sdk: str
    sdk_version: str
    channel: str


@dataclass(frozen=True, slots=True)
class Person:
    """A customer. `username` is None where no record ever carries one: the application knows only the `UserId`."""

    number: int
    user_id: str
    username: str | None
    email: str
    phone: str
    country: str
    timezone: str
    locale: str
    apple_mail: bool
    device: Device


# Name, channel, weight, appeal. About three sends in four are e-mail, one in five push.
_CAMPAIGNS: tuple[tuple[str, Channel, float, float], ...] = (
    ("Welcome series", "EMAIL", 26.0, 1.25),
    ("Spring sale", "EMAIL", 24.0, 0.9),
    ("Back in stock", "PUSH", 18.0, 1.0),
    ("Abandoned basket", "EMAIL", 16.0, 1.3),
    ("Order reminder", "SMS", 4.5, 1.0),
    ("Win-back", "EMAIL", 10.0, 0.6),
    ("Printed catalogue", "CUSTOM", 1.5, 1.0),
    ("Loyalty points", "PUSH", 6.0, 0.8),
    ("Café & Co. été", "EMAIL", 8.0, 1.0),
)
_SHOPS = (
    ("North Shop", ("USD", "EUR")),
    ("Boutique", ("EUR", "GBP")),
    ("Kiosk", ("JPY", "USD")),
    ("Market", ("GBP", "USD", "EUR")),
)
_GIVEN = ("jane", "maria", "li", "omar", "ines", "paul", "anna", "kofi", "yuki", "noah", "emma", "raj", "lena", "tom")
_FAMILY = ("doe", "silva", "chen", "haddad", "costa", "smith", "novak", "mensah", "sato", "berg", "rossi", "patel")
_PLACES = (
    ("US", "America/Los_Angeles", "en_US"),
    ("DE", "Europe/Berlin", "de_DE"),
    ("GB", "Europe/London", "en_GB"),
    ("JP", "Asia/Tokyo", "ja_JP"),
    ("BR", "America/Sao_Paulo", "pt_BR"),
)
_DEVICES = (
    Device("Google", "Pixel 7", "android", "13", "aws-sdk-android", "2.15.2", "GCM"),
    Device("apple", "iPhone", "iOS", "16.4", "aws-sdk-ios", "2.33.4", "APNS"),
    Device("Samsung", "SM-G991B", "android", "12", "aws-sdk-android", "2.15.2", "GCM"),
)
LONGEST_USERNAME = 128
"""Characters; Cognito's limit."""
_UNUSUAL_USERNAMES = {
    3: "{given}.{family}{number}@example.com",
    5: "{given}_{family}_{number}",
    7: "{given}#{family}#{number}",
    11: "{given} {family} {number}",
    13: "žofie.nováková.{number}",
    17: "佐藤雪{number}",
    19: "{given}/{family}?n={number}&50%25",
}
"""By the remainder of the person's number by 23."""


class World:
    """All that exists for a seed.

    Applications have different ids and journeys, but the same people: tenants must be kept apart where names agree.
    """

    def __init__(self, seed: int, applications: int, journeys: int, people: int) -> None:
        self.seed = seed
        self.people = people
        self.applications = tuple(self._application(number, journeys) for number in range(applications))

    def _application(self, number: int, journeys: int) -> Application:
        title, currencies = _SHOPS[number % len(_SHOPS)]
        if number >= len(_SHOPS):
            title = f"{title} {number // len(_SHOPS) + 1}"
        app_id = digest(self.seed, "application", number)
        return Application(app_id, title, currencies, tuple(self._journey(app_id, n) for n in range(journeys)))

    def _journey(self, app_id: str, number: int) -> Journey:
        name, channel, weight, appeal = _CAMPAIGNS[number % len(_CAMPAIGNS)]
        if number >= len(_CAMPAIGNS):
            name = f"{name} {number // len(_CAMPAIGNS) + 1}"
        journey_id = digest(app_id, "journey", number)
        steps = 1 + int(share(journey_id, "steps") * 3)
        return Journey(
            journey_id=journey_id,
            name=name,
            channel=channel,
            run_id=digest(journey_id, "run"),
            activities=tuple(digest(journey_id, "activity", step, size=5) for step in range(steps)),
            weight=weight,
            appeal=appeal,
        )

    def person(self, number: int) -> Person:
        """The person of this number; the same one every time."""
        given = _GIVEN[number % len(_GIVEN)]
        family = _FAMILY[number // len(_GIVEN) % len(_FAMILY)]
        country, timezone, locale = _PLACES[int(share(self.seed, number, "place") * len(_PLACES))]
        return Person(
            number=number,
            user_id=f"user-{digest(self.seed, number, 'user', size=6)}",
            username=None if share(self.seed, number, "nameless") < 0.06 else username(given, family, number),
            email=f"{given}.{family}{number}@example.com",
            phone=f"+1425555{number % 10_000:04d}",
            country=country,
            timezone=timezone,
            locale=locale,
            apple_mail=share(self.seed, number, "mail") < 0.55,
            device=_DEVICES[int(share(self.seed, number, "device") * len(_DEVICES))],
        )

    def endpoint_id(self, application: Application, person: Person, kind: str) -> str:
        """The id of a person's endpoint in an application; `kind` is EMAIL, SMS, CUSTOM or DEVICE."""
        return uuid_like(digest(application.app_id, person.number, kind))

    def usernames(self) -> Iterator[str]:
        """The user names of everybody who has one, in the order of their numbers."""
        for number in range(self.people):
            name = self.person(number).username
            if name is not None:
                yield name


def username(given: str, family: str, number: int) -> str:
    """The user name of a person: most are plain, and some are what breaks keys, paths and logs that are not careful."""
    if number % 115 == 21:
        return f"{given}-{number}-".ljust(LONGEST_USERNAME, "x")
    form = _UNUSUAL_USERNAMES.get(number % 23, "{given}.{family}{number}")
    return form.format(given=given, family=family, number=number)
