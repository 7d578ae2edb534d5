"""The child process: MiniStack, which dies with the process that started it.

Run as a script with the interpreter's ``-I``, so that neither the project's modules nor PYTHONPATH can shadow
MiniStack's. The parent holds the other end of standard input; when it is gone, however it ended, the read ends.
"""

import decimal
import os
import shutil
import signal
import sys
import threading

from ministack.app import main


def die_with_parent() -> None:
    """Kill this process, without saving, when the parent is gone.

    Not a clean stop on purpose: MiniStack keeps tables but not the change records that were still to be projected, so
    state saved now would hold facts that no view ever shows. Dropped, the data stay as the last clean stop left them.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    # The parent made it and can no longer delete it.
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)


def count_as_dynamodb_does() -> None:
    """DynamoDB adds numbers of up to 38 digits exactly; MiniStack adds in Python's context, which rounds to 28."""
    decimal.DefaultContext.prec = 38
    decimal.setcontext(decimal.DefaultContext)


if __name__ == "__main__":
    count_as_dynamodb_does()
    threading.Thread(target=die_with_parent, name="die-with-parent", daemon=True).start()
    main()
