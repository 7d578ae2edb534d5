"""``python -m local``."""

from local.signals import Ending

# What the commands import takes a second or more: Ctrl-C must not end in a traceback meanwhile.
Ending()

from local.cli import app  # noqa: E402

app(prog_name="python -m local")
