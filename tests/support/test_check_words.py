"""check_words.py finds what it must find, across lines and in names, and nothing else."""

import os
import subprocess
import sys

import pytest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_words.py")

CAUGHT = (
    "// The size stands in the slot.\n",
    "// The size which is\n// told of by the caller.\n",
    '    "it is in no traced "\n    "block";\n',
    "# Whoever calls this.\n",
    "def test_what_is_none_is_refused():\n",
    "the program's stacks are for ever new\n",
)
ALLOWED = (
    "// One node stands for a frame; a fake stands in for the source.\n",
    "assert value is None\n",
    "// Understands and withstands; a standing order; the renewal.\n",
    "// In flight and damaged are told apart.\n",
)


def check(path):
    run = subprocess.run([sys.executable, CHECK, str(path)], stdout=subprocess.PIPE, universal_newlines=True)
    return run.returncode, run.stdout


@pytest.mark.parametrize("text", CAUGHT)
def test_words_are_caught_with_their_line(tmp_path, text):
    path = tmp_path / "file.c"
    path.write_text("\n\n" + text)
    status, output = check(path)
    assert status == 1 and output.startswith("%s:3: " % path), output


@pytest.mark.parametrize("text", ALLOWED)
def test_plain_words_pass(tmp_path, text):
    path = tmp_path / "file.c"
    path.write_text(text)
    status, output = check(path)
    assert status == 0, output
