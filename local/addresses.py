"""Addresses that options name."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


class NoAddress(ValueError):
    """A text is no address of http or https."""


def address_parts(address: str) -> SplitResult:
    """The parts of an address of http or https, with a host. Raises `NoAddress`."""
    try:
        parts = urlsplit(address)
        # Reading the port checks it.
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise NoAddress(f"{address!r} is no address of an endpoint: {error}") from error
    if not valid or not address.isprintable() or " " in address:
        raise NoAddress(f"{address!r} is no address of an endpoint; one looks like http://127.0.0.1:4566")
    return parts


def is_on_this_machine(address: str) -> bool:
    """Whether an address names this machine itself. Raises `NoAddress`."""
    host = address_parts(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
