"""Starts tracing if the environment asks for it: TRACEMORTEM=NFRAME python3 ..., after `make install`.

The start-up hook tracemortem.pth imports this module while the interpreter's `site` module runs. By then a preloaded
tracer is already tracing. The tracer itself reads the variables (src/tracer/environment.c), so both ways in go by the
same rules. Nothing here keeps the program from starting.
"""

import os
import sys


def start() -> None:
    """Load the tracer; it looks at the environment."""
    try:
        from . import _tracer

        _tracer._start_as_asked()
    except (ImportError, RuntimeError) as error:
        try:
            if sys.stderr is not None:
                sys.stderr.write("tracemortem: %s; continuing without tracing\n" % error)
                sys.stderr.flush()
        except OSError:  # nobody reads it
            pass


if os.environ.get("TRACEMORTEM", "") not in ("", "0"):
    start()
