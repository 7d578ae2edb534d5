"""``python -m local``."""

import signal

from local.signals import ENDING, Ending

# What the commands import takes a second or more: Ctrl-C must not end in a traceback meanwhile.
handlers = {number: signal.getsignal(number) for number in ENDING}
Ending()

from local.cli import app  # noqa: E402

for number, handler in handlers.items():
    signal.signal(number, handler)
app(prog_name="python -m local")
