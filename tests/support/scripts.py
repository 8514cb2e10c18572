"""Runs Python code under stock tracemalloc or under the tracer. The tests of the drop-in share it.

    run = run_code(python, "import tracemalloc; print(tracemalloc.is_tracing())", way="preloaded", frames=5)
    run.stdout, run.stderr, run.status

The ways: "stock" is unmodified CPython; "imported" installs the imported tracer before the code begins; "preloaded"
preloads the tracer. With `frames`, tracing is on from launch ("imported": from the code's first line), else it is off.
"""

import collections
import os
import subprocess
import tempfile

import debuggers

WAYS = ("imported", "preloaded")

Run = collections.namedtuple("Run", "status stdout stderr")

# `site` imports this before a program begins.
_INSTALL = """
import tracemortem
tracemortem.install()
if {frames}:
    tracemortem.start({frames})
"""


def run(
    python, words, way="stock", frames=None, options=(), before=(), check=True, patience=debuggers.PATIENCE, **variables
):
    """Run `BEFORE python WORDS` in one of the ways: a script, or -m or -c and what comes after."""
    with tempfile.TemporaryDirectory(prefix="tm-test-") as folder:
        options = list(options) + (["-X", "tracemalloc=%d" % frames] if frames and way == "stock" else [])
        done = subprocess.run(
            [str(word) for word in list(before) + [python] + options + list(words)],
            env=dict(_environment(way, frames, folder), **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=patience,
        )
    result = Run(done.returncode, *(text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr)))
    assert not check or result.status == 0, "%s, %s: status %d\n%s" % (python, way, result.status, result.stderr)
    return result


def run_code(python, code, **options):
    """Run a program given as text."""
    return run(python, ["-c", code], **options)


_UNWANTED = (
    "LD_PRELOAD",
    "TRACEMORTEM",
    "TRACEMORTEM_DETAIL",
    "TRACEMORTEM_REUSE",
    "PYTHONTRACEMALLOC",
    "PYTHONMALLOC",
    "PYTHONPATH",
)


def _environment(way, frames, folder):
    variables = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    variables.update(PYTHONIOENCODING="utf-8:backslashreplace", PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
    if way != "stock":
        variables["PYTHONPATH"] = "%s:%s" % (folder, debuggers.PACKAGE_PATH)
    if way == "imported":
        with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
            file.write(_INSTALL.format(frames=frames))
    elif way == "preloaded":
        variables["LD_PRELOAD"] = debuggers.TRACER
        variables.update({"TRACEMORTEM": str(frames)} if frames else {})
    return variables
