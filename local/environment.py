"""Keeping the user's own AWS out of it: environments that only lead to the machine itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

DEFAULT_REGION = "us-east-1"
LOOPBACK = "127.0.0.1"

CREDENTIALS = {
    # MiniStack takes a key of 12 digits for an account id; any other belongs to its default account.
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
}


def isolated(environ: Mapping[str, str], region: str = DEFAULT_REGION) -> dict[str, str]:
    """``environ`` without the user's AWS settings, with dummy credentials, and no proxy between here and loopback.

    Every variable of AWS goes, also those nobody thinks of: a profile, an endpoint of one service, a file of
    credentials or ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` would lead some call out of the machine.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    unproxied = [one for one in (kept.get("NO_PROXY") or kept.get("no_proxy") or "").split(",") if one]
    no_proxy = ",".join(dict.fromkeys([*unproxied, LOOPBACK, "localhost"]))
    return kept | {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


@contextmanager
def process_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Make ``variables`` the environment of this process, and put the former one back at the end."""
    former = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)
