"""Last touch: which touch decides an event, and whether its window is still open then (R1-R4, R9).

Pure. Times and windows are milliseconds UTC.
"""

from __future__ import annotations

import msgspec

from chalicelib.facts.model import Event, Interaction, flaw_of_id
from chalicelib.keys import FIELD, padded
from chalicelib.settings.model import InteractionSetting, Policy, Settings, Window

STRENGTH = {"email.click": 3, "email.open": 2, "push.opened_notification": 2, "journey.step": 1}
"""R4: of two touches at one millisecond the stronger decides."""

CUSTOM_STRENGTH = 3
"""Of custom interactions: a link was followed, as with a click."""

COUNTS = InteractionSetting()


class Touch(msgspec.Struct, frozen=True):
    """An interaction that counts, with the window that was in force at its time.

    Attributes
    ----------
    until
        End of the window: an event at ``until`` is no longer credited.
    digest
        The interaction's content digest.
    """

    time: int
    kind: str
    channel: str
    journey: str
    until: int
    digest: str

    @property
    def order(self) -> str:
        return order_of(self, self.digest)

    def covers(self, time: int) -> bool:
        """R1: ``t <= e < t + window``."""
        return self.time <= time < self.until


def order_of(interaction: Interaction | Touch, digest: str) -> str:
    """Sorts touches as R1 and R4 order them: time, strength, journey id; then kind and content, so that it is total.

    It depends on no setting: whatever changes, a stored touch is found again.
    """
    fields = (interaction.journey, interaction.kind, interaction.channel, digest)
    strength = STRENGTH.get(interaction.kind, CUSTOM_STRENGTH)
    return f"{padded(interaction.time)}#{strength}#" + FIELD.join(fields)


def touch_of(interaction: Interaction, digest: str, settings: Settings) -> Touch | None:
    """The touch that an interaction is under the settings of its time, or None where it does not count (R9)."""
    policy = settings.policy_at(interaction.time)
    setting = policy.interactions.get(interaction.kind, COUNTS)
    days = setting.days
    if custom := next((one for one in policy.custom_interactions if one.event_type == interaction.kind), None):
        days = custom.days
    elif not setting.counts or _is_machine_open(interaction, policy):
        return None
    window = settings.window_at(interaction.time) if days is None else Window(days, 0)
    return Touch(
        time=interaction.time,
        kind=interaction.kind,
        channel=interaction.channel,
        journey=interaction.journey,
        until=interaction.time + window.length,
        digest=digest,
    )


def custom_interaction(event: Event, settings: Settings) -> Interaction | None:
    """The interaction that a custom event is too, if the marketer named its type as one."""
    customs = settings.policy_at(event.time).custom_interactions
    custom = next((one for one in customs if one.event_type == event.type), None)
    journey = event.attributes.get(custom.journey_attribute, "") if custom else ""
    if custom is None or flaw_of_id(journey):
        return None
    return Interaction(event.time, event.type, custom.channel, journey)


def _is_machine_open(interaction: Interaction, policy: Policy) -> bool:
    ignored = policy.ignore_machine_opens and interaction.kind == "email.open"
    return ignored and (interaction.user_agent or "").strip() in policy.machine_user_agents
