"""Answers of jobs, which are stored in the job's item."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.jobs.store import LARGEST_WORK, JobFailed


def result_of(found: msgspec.Struct, name: str, advice: str) -> Any:
    """What a job answers, as JSON holds it.

    Raises
    ------
    JobFailed
        It has more bytes than a job's item can hold; the message ends with the advice.
    """
    built = msgspec.to_builtins(found)
    if len(msgspec.json.encode(built)) > LARGEST_WORK:
        raise JobFailed(f"The {name} has more than {LARGEST_WORK // 1_000} kB, the most that a job can hold; {advice}.")
    return built
