"""The deep run of the properties: rounds of many histories, each with a seed and a MiniStack of its own.

An emulator that has seen thousands of histories answers slowly, so no process sees them all. Prints how many histories,
deliveries and faults were tried in all; ends with 1 if any round found a difference.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ROUNDS = int(os.environ.get("DEEP_ROUNDS", "8"))
AT_ONCE = 2
SAID = re.compile(r"properties tried: (\d+) histories, (\d+) deliveries, (\d+) faults; I2 held after (\d+) steps")


def one_round(number: int) -> tuple[bool, Counter[str], str]:
    """One round: whether all held, what was tried, and what pytest printed."""
    command = [sys.executable, "-m", "pytest", "tests/properties", "-q", "-p", "no:cacheprovider", "--timeout=3600"]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "round", "DEEP_ROUND": str(number)}
    done = subprocess.run(
        [*command, f"--hypothesis-seed={number}"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    tried: Counter[str] = Counter()
    for found in SAID.finditer(done.stdout):
        tried.update(dict(zip(("histories", "deliveries", "faults", "steps"), map(int, found.groups()), strict=True)))
    return done.returncode == 0, tried, done.stdout


def main() -> int:
    total: Counter[str] = Counter()
    differences = 0
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, (held, tried, said) in enumerate(pool.map(one_round, range(ROUNDS)), start=1):
            total.update(tried)
            differences += not held
            print(f"round {number} of {ROUNDS}: {'holds' if held else 'DIFFERS'}, {dict(tried)}", flush=True)
            if not held:
                print(said, flush=True)
    minutes = (time.monotonic() - started) / 60
    print(
        f"{total['histories']} histories, {total['deliveries']} deliveries, {total['faults']} faults tried, I2 checked "
        f"after {total['steps']} steps, in {minutes:.0f} min; {differences} rounds with differences"
    )
    return 1 if differences or not total["histories"] else 0


if __name__ == "__main__":
    sys.exit(main())
