"""Inputs that are nearly right: what Pinpoint sends, broken where a reader would trip over it."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

from tests.sources.reading import PAYLOADS

SEEDS = [path.read_text() for path in sorted(PAYLOADS.glob("*.json"))]
RECORD_SEEDS = [seed for seed in SEEDS if '"event_type"' in seed]
_USEFUL = re.compile(r'"event_type": *"([^_]|_email\.(open|click)|_jou|_mon)')
USEFUL_SEEDS = [seed for seed in SEEDS if _USEFUL.search(seed)]
STEP_SEEDS = [seed for seed in SEEDS if '"Endpoints"' in seed]

T = 1_774_656_000_000
LITERALS = [
    "NaN", "-Infinity", "1e400", "1e-400", "1e999999999999999999999", "-0", "-0.0", "1.0", "0e5", "12.50", "1" * 39,
    "1" * 41, "1" * 5_000, "0." + "3" * 39, "1e308", "1e125", "1e126", "1e-130", "1e-131",
    '"\\ud800"', '"\\ud83d\\ude00"',
    "[" * 1_500 + "]" * 1_500, '{"a":' * 1_500 + "1" + "}" * 1_500, "tru", "", '"', "01", "1_000", "\ufeff1", '"\t"',
]  # fmt: skip
"""What a JSON encoder never writes, and decoders read differently."""

TEXTS = [
    "", " ", "\t", "\x00", "\x1f", "a\x1fb", "\x7f", "\x85", "\u202e", "\ud800", "\udfff", "\U0010ffff", "\U0001f600",
    "é" * 128, "é" * 129, "x" * 256, "x" * 257, "x" * 512, "x" * 513, "日" * 300, "%" * 256, "#" * 200, "~", "a#b",
    "x" * 50_000, '"' * 30_000, "campaign", "Campaign", "CAMPAIGN", "jane", "j1", "purchase", "refund", "custom",
    "null", "@0",
    "_email.open", "_email.click", "_journey.send", "_journey.opened_notification", "_monetization.purchase",
    "_test.event_stream", "_x", "2026-03-28T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2026-03-28", "2026-W13-6", "1e5", "12.5", "EUR", "ß" * 16, "{}", "[]", '{"User":{"UserId":"u"}}', '{"User":5}',
]  # fmt: skip
NUMBERS = [
    0, -1, 1, T, T + 1, T * 1000, 253_402_300_799_999, 253_402_300_800_000, 2**31, 2**53 + 1, 2**63, 2**64, 10**40,
    -(2**63), 0.1, 1.5, -12.25, 1e15, 1e16, 1e22, 1e-18, 1e-19, 1e300,
]  # fmt: skip
VALUES: list[Any] = [*TEXTS, *NUMBERS, True, False, None, [], {}, [None], [""], ["jane", "joe"], {"": ""}, [[[]]]]
KEYS = [
    "event_type", "event_timestamp", "arrival_timestamp", "application", "app_id", "client", "client_id", "attributes",
    "journey_id", "journey_run_id", "journey_activity_id", "journey_send_status", "campaign", "Campaign", "currency",
    "metrics", "price", "_item_price", "_quantity", "_currency", "session", "session_id", "client_context", "custom",
    "endpoint", "User", "UserId", "UserAttributes", "username", "login", "ChannelType", "facets", "email_channel",
    "mail_event", "mail", "message_id", "open", "click", "user_agent", "link", "ApplicationId", "JourneyId",
    "CampaignId", "ScheduledTime", "Endpoints", "", "\x00", "\ud800", "x" * 600, "e1",
]  # fmt: skip

_MARK = re.compile(r'"\\u0001(\d+)"|"\x01(\d+)"')


class Mutator:
    """Makes inputs out of the recorded payloads; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def payload(self, seeds: list[str]) -> str:
        """JSON, or nearly: a payload with up to four changes in its structure."""
        document = json.loads(self._random.choice(seeds))
        for _ in range(self._random.choice((0, 1, 1, 1, 1, 1, 2, 2, 3, 4))):
            holders = list(_holders(document))
            if holders:
                self._change(self._random.choice(holders))
        text = json.dumps(document, ensure_ascii=self._random.random() < 0.5)
        return _MARK.sub(lambda found: LITERALS[int(found[1] or found[2])], text)

    def record(self) -> bytes:
        """The bytes of a stream record, a sixth of them broken as bytes too."""
        # Also what is of another service altogether, now and then.
        seeds = self._random.choice((USEFUL_SEEDS, USEFUL_SEEDS, USEFUL_SEEDS, RECORD_SEEDS, SEEDS))
        data = self.payload(seeds).encode("utf-8", "surrogatepass")
        for _ in range(self._random.choice((0,) * 10 + (1, 3))):
            data = self._broken(data)
        return data

    def step(self) -> object:
        """A payload of the journey step, as Lambda decodes it."""
        while True:
            try:
                return json.loads(self.payload(STEP_SEEDS))
            except (ValueError, RecursionError):
                continue  # Lambda refuses it before it reaches any function.

    # --- structure ---

    def _change(self, holder: dict[str, Any] | list[Any]) -> None:
        changes: list[Callable[[dict[str, Any] | list[Any]], None]] = [
            self._replace, self._replace, self._replace, self._remove, self._add, self._add, self._graft, self._wrap,
            self._stretch, self._rename,
        ]  # fmt: skip
        self._random.choice(changes)(holder)

    def _place(self, holder: dict[str, Any] | list[Any]) -> Any:
        return self._random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))

    def _value(self) -> Any:
        if self._random.random() < 0.1:
            return f"\x01{self._random.randrange(len(LITERALS))}"
        return copy.deepcopy(self._random.choice(VALUES))

    def _replace(self, holder: Any) -> None:
        holder[self._place(holder)] = self._value()

    def _remove(self, holder: Any) -> None:
        del holder[self._place(holder)]

    def _add(self, holder: Any) -> None:
        if isinstance(holder, dict):
            holder[self._random.choice(KEYS)] = self._value()
        else:
            holder.insert(0, self._value())

    def _graft(self, holder: Any) -> None:
        other = list(_holders(json.loads(self._random.choice(SEEDS))))
        holder[self._place(holder)] = self._random.choice(other) if other else None

    def _wrap(self, holder: Any) -> None:
        place = self._place(holder)
        inner = holder[place]
        holder[place] = self._random.choice(([inner], {"a": inner}, json.dumps(inner), str(inner)))

    def _stretch(self, holder: Any) -> None:
        if isinstance(holder, dict):
            size = self._random.choice((2, 50, 300))
            holder.update({f"{self._random.choice(KEYS)[:8]}{at}": self._value() for at in range(size)})
        else:
            holder *= self._random.choice((2, 100))

    def _rename(self, holder: Any) -> None:
        if isinstance(holder, dict):
            value = holder.pop(self._place(holder))
            holder[self._random.choice(KEYS)] = value

    # --- bytes ---

    def _broken(self, data: bytes) -> bytes:
        start, end = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
        noise = self._random.randbytes(self._random.randrange(1, 9))
        flipped = bytes([data[start] ^ 1 << self._random.randrange(8)]) if start < len(data) else b""
        encoding = self._random.choice(("utf-16", "utf-8-sig", "utf-32-le"))
        ways: list[Callable[[], bytes]] = [
            lambda: data[:start],
            lambda: data[:start] + data[end:],
            lambda: data[:end] + data[start:],
            lambda: data[:start] + noise + data[start:],
            lambda: data[:start] + flipped + data[start + 1 :],
            lambda: data.decode("utf-8", "replace").encode(encoding),
            lambda: data + data,
        ]
        return self._random.choice(ways)()


def _holders(document: Any) -> Any:
    """All objects and lists in a document that hold anything."""
    if isinstance(document, dict | list) and document:
        yield document
        for value in document.values() if isinstance(document, dict) else document:
            yield from _holders(value)
