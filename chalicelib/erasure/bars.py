"""Bars: up to when identities are erased, kept without their names.

Under a keyed hash of the application and the identity stands a time: what is told of that identity at or before it is
thrown away, however often it is delivered again. The key is made at the first erasure and kept in the views table, so
nobody who has but a list of names can tell from the items alone who was erased.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from botocore.exceptions import ClientError

from chalicelib.facts.model import Identity, digest_of
from chalicelib.keys import ERASURE_SECRET, Key, ViewKeys
from chalicelib.tables import Item, Table, to_wire

NEVER = -1
"""Before all times: not erased."""


class Bars:
    """The bars of one application.

    Parameters
    ----------
    get
        Reads an item of the views table.
    secret
        None where nobody was ever erased: then nothing is read.
    """

    def __init__(self, keys: ViewKeys, get: Callable[[Key], Item | None], secret: bytes | None) -> None:
        self._keys = keys
        self._get = get
        self._secret = secret

    @property
    def are_there(self) -> bool:
        return self._secret is not None

    def key(self, identity: Identity) -> Key:
        """Where an identity's bar stands, if there is one."""
        if self._secret is None:
            raise RuntimeError("a bar needs the secret, which is made by the first erasure")
        content = digest_of([self._keys.application, identity]).encode()
        return self._keys.bar(hmac.new(self._secret, content, hashlib.sha256).hexdigest())

    def item(self, identity: Identity, until: int) -> Item:
        key = self.key(identity)
        return {"pk": key.pk, "sk": key.sk, "until": until}

    def until(self, identity: Identity) -> int:
        """The last millisecond (UTC) that is erased of an identity, or ``NEVER``."""
        if self._secret is None:
            return NEVER
        item = self._get(self.key(identity))
        return int(item["until"]) if item else NEVER

    def cover(self, identity: Identity, time: int) -> bool:
        """Whether what is told of an identity at a time (ms UTC) is thrown away."""
        return time <= self.until(identity)


def stored_secret(views: Table) -> bytes | None:
    """The key of the hashes, or None before the first erasure."""
    item = views.get(ERASURE_SECRET)
    return bytes.fromhex(item["key"]) if item else None


def made_secret(views: Table) -> bytes:
    """The key of the hashes, made if there is none; of two who make one, one prevails."""
    key = ERASURE_SECRET
    made = {"pk": key.pk, "sk": key.sk, "key": secrets.token_hex(32)}
    try:
        views.client.put_item(TableName=views.name, Item=to_wire(made), ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
    stored = stored_secret(views)
    if stored is None:
        raise RuntimeError("the secret of erasures is gone right after it was made")
    return stored
