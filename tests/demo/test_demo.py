"""The demo runs to its end and all its claims hold. It checks and prints each of them."""

import os
import subprocess
import sys

from selection import thorough

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")


@thorough
def test_the_demo_finds_the_leak():
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    demo = subprocess.run(
        [sys.executable, DEMO], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800
    )
    output = demo.stdout.decode("utf-8", "replace")
    assert demo.returncode == 0, output
    assert "NOT SO" not in output
    shown = ("the line which leaks", "the handler", "the server")
    claims = ["tm-traceback shows " + what for what in shown]
    for claim in claims + ["tm-top names service.py:", "tm-diff names service.py:"]:
        assert "ok: " + claim in output, output
