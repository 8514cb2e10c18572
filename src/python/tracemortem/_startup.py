"""Start tracing because the environment says so: TRACEMORTEM=NFRAME python3 ..., in an installation.

The start-up hook tracemortem.pth imports this while the interpreter's `site` module runs. A preloaded tracer is
already at work then.
"""

import os
import sys


def start(text):
    """Trace with as many frames as `text` says; end the program if it says nothing sensible."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        sys.stderr.write(
            "tracemortem: TRACEMORTEM=%s: not a number of frames from 1 to 65535; "
            "set it to 1, or 25 for deeper tracebacks, or unset it\n" % text
        )
        sys.stderr.flush()
        os._exit(2)
    try:
        from . import _tracer

        _tracer.start(int(text))
    except (ImportError, RuntimeError) as error:
        sys.stderr.write("tracemortem: %s; continuing without tracing\n" % error)


if "TRACEMORTEM" in os.environ:
    start(os.environ["TRACEMORTEM"])
