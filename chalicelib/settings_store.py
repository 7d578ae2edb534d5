"""Settings documents in the views table, read strongly consistent:
what was saved holds for whatever is projected after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from chalicelib.keys import settings_key
from chalicelib.settings import Settings
from chalicelib.tables import Table, to_wire

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Settings)

SAVE_RACES = 10

SCHEMA = 2
"""Of documents. The first had ``value``, now the first of ``values``."""


class SettingsRace(Exception):
    """Somebody else kept saving the same settings first."""


class SettingsStore:
    """Reads and saves the settings of applications."""

    def __init__(self, views: Table) -> None:
        self._views = views

    def get(self, application: str) -> Settings:
        """An application's settings; the defaults where none were saved."""
        return _settings_in(self._views.get(settings_key(application)))

    def get_many(self, applications: Iterable[str]) -> dict[str, Settings]:
        """The settings of several applications in one call."""
        wanted = sorted(set(applications))
        found = self._views.get_many(settings_key(one) for one in wanted)
        return {one: _settings_in(found.get(settings_key(one))) for one in wanted}

    def change(self, application: str, changed: Callable[[Settings], Settings]) -> Settings:
        """Save what ``changed`` makes of the settings, whoever else saves at the same time.

        Raises
        ------
        SettingsRace
            Lost the race time after time.
        """
        key = settings_key(application)
        for _ in range(SAVE_RACES):
            item = self._views.get(key)
            settings = changed(_settings_in(item))
            version = int(item["version"]) if item else 0
            saved = {
                "pk": key.pk,
                "sk": key.sk,
                "version": version + 1,
                "schema": SCHEMA,
                "document": _encoder.encode(settings).decode(),
            }
            condition: dict[str, Any] = (
                {
                    "ConditionExpression": "#v = :v",
                    "ExpressionAttributeNames": {"#v": "version"},
                    "ExpressionAttributeValues": {":v": {"N": str(version)}},
                }
                if item
                else {"ConditionExpression": "attribute_not_exists(pk)"}
            )
            try:
                self._views.client.put_item(TableName=self._views.name, Item=to_wire(saved), **condition)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                    raise
            else:
                return settings
        raise SettingsRace(application)


def _settings_in(item: dict[str, Any] | None) -> Settings:
    if item is None:
        return Settings()
    if int(item.get("schema", 1)) == 1:
        return msgspec.convert(_migrated(msgspec.json.decode(item["document"])), Settings)
    return _decoder.decode(item["document"])


def _migrated(document: dict[str, Any]) -> dict[str, Any]:
    """A document of the first schema, where the value's settings had no versions."""
    return {**document, "values": [document["value"]]} if "value" in document else document
