"""Cursors of paged answers: a position, signed together with the query that it belongs to.

The key is made once and kept in the views table, so it stands in no file and all instances share it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from botocore.exceptions import ClientError

from chalicelib.facts.model import digest_of
from chalicelib.keys import CURSOR_SECRET
from chalicelib.tables import Table, to_wire

_MAC_BYTES = 16


class BadCursor(ValueError):
    """A cursor that was changed, or is of another query."""


class Cursors:
    """Makes and reads cursors."""

    def __init__(self, views: Table) -> None:
        self._views = views
        self._key: bytes | None = None

    def encode(self, position: str, query: Mapping[str, str | None]) -> str:
        """A cursor for a position in the answers to a query."""
        raw = position.encode()
        return base64.urlsafe_b64encode(self._mac(raw, query) + raw).decode().rstrip("=")

    def decode(self, cursor: str, query: Mapping[str, str | None]) -> str:
        """The position in a cursor.

        Raises
        ------
        BadCursor
            It was not made here for this query.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            mac, position = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if (
                not hmac.compare_digest(mac, self._mac(position, query))
                or base64.urlsafe_b64encode(raw).decode().rstrip("=") != cursor
            ):
                raise BadCursor("cursor is not one that this query returned")
            return position.decode()
        except (binascii.Error, UnicodeError, ValueError) as error:
            raise BadCursor("cursor is not one that this query returned") from error

    def _mac(self, position: bytes, query: Mapping[str, str | None]) -> bytes:
        content = digest_of([dict(query), position.hex()]).encode()
        return hmac.new(self._secret(), content, hashlib.sha256).digest()[:_MAC_BYTES]

    def _secret(self) -> bytes:
        if self._key is None:
            self._key = bytes.fromhex(self._stored() or self._made())
        return self._key

    def _stored(self) -> str | None:
        item = self._views.get(CURSOR_SECRET)
        return str(item["key"]) if item else None

    def _made(self) -> str:
        item = {"pk": CURSOR_SECRET.pk, "sk": CURSOR_SECRET.sk, "key": secrets.token_hex(32)}
        try:
            self._views.client.put_item(
                TableName=self._views.name, Item=to_wire(item), ConditionExpression="attribute_not_exists(pk)"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return self._stored() or ""
        return item["key"]
