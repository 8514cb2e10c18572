"""Starts tracing if the environment asks for it: TRACEMORTEM=NFRAME python3 ..., after `make install`.

The start-up hook tracemortem.pth imports this module while the interpreter's `site` module runs. By then a preloaded
tracer is already tracing.
"""

import os
import sys


def start(text: str) -> None:
    """Trace with `text` as the number of frames. End the program if it is not a valid number."""
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
