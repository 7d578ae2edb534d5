"""Ports of this machine that a command's options name."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from local.environment import LOOPBACK


class PortTaken(Exception):
    """A port cannot be listened on; the message names it and its option."""


def check_ports(ports: Mapping[str, int]) -> None:
    """Check that the ports, by their options, can be listened on; 0 is any free one. Raises `PortTaken`."""
    seen: dict[int, str] = {}
    for option, port in ports.items():
        if not port:
            continue
        if port in seen:
            raise PortTaken(f"{seen[port]} and {option} are both {port}: choose two ports")
        seen[port] = option
        with socket.socket() as probe:
            # As servers do: connections that have just ended do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                reason = (error.strerror or os.strerror(error.errno or 0)).lower()
                raise PortTaken(
                    f"port {port} of {option} cannot be used ({reason}): choose another one, or 0 for any free one"
                ) from error
