"""Runs the command `tracemortem`, as it was built.

    outcome = run("top", process.pid, "-n", 1)      # status, stdout, stderr
"""

import os
import subprocess

import debuggers

COMMAND = os.path.join(debuggers.BUILD, "bin", "tracemortem")


def run(*words, **options):
    """What the command did: a debuggers.Run."""
    environment = dict(os.environ, **options.pop("environment", {}))
    outcome = subprocess.run(
        [options.pop("program", COMMAND)] + [str(word) for word in words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=debuggers.PATIENCE,
        **options,
    )
    return debuggers.Run(
        outcome.returncode,
        outcome.stdout.decode(errors="surrogateescape"),
        outcome.stderr.decode(errors="surrogateescape"),
    )
