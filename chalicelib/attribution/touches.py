"""Last touch: which touch decides an event, and whether its window is still open then (R1-R4).

Pure. Times and windows are milliseconds UTC.
"""

from __future__ import annotations

import msgspec

from chalicelib.facts.model import Interaction
from chalicelib.keys import FIELD, padded
from chalicelib.settings import Settings

STRENGTH = {"email.click": 3, "email.open": 2, "push.opened_notification": 2, "journey.step": 1}
"""R4: of two touches at one millisecond the stronger decides."""


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
        """Sorts touches as R1 and R4 order them: time, strength, journey id;
        then kind and content, so that the order is total.
        """
        fields = (self.journey, self.kind, self.channel, self.digest)
        return f"{padded(self.time)}#{STRENGTH.get(self.kind, 0)}#" + FIELD.join(fields)

    def covers(self, time: int) -> bool:
        """R1: ``t <= e < t + window``."""
        return self.time <= time < self.until


def touch_of(interaction: Interaction, digest: str, settings: Settings) -> Touch:
    """The touch that an interaction is under these settings."""
    return Touch(
        time=interaction.time,
        kind=interaction.kind,
        channel=interaction.channel,
        journey=interaction.journey,
        until=interaction.time + settings.window_at(interaction.time).length,
        digest=digest,
    )
