"""Progress of a long command is shown on a terminal, and nowhere else. It is gone before the answer.

No command here is long, so the tests set the waiting times to 0.
"""

import os
import pty
import subprocess

import debuggers
import pytest
from tracemortem.debugger.progress import Progress

IMPATIENT = "import tracemortem.debugger.progress as d; d.PROGRESS_AFTER = d.PROGRESS_EVERY = 0"
COMMANDS = {"gdb": ["python " + IMPATIENT, "tm-traces -n 1"], "lldb": ["script " + IMPATIENT, "tm-traces -n 1"]}


def run_on_terminal(words):
    """Everything that a program shows on its terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(words, stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the program has ended
            data = b""
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(debuggers.PATIENCE) == 0, shown
    return shown.decode(errors="replace")


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_on_a_terminal_progress_is_shown_and_gone_before_the_answer(debugger, service):
    with debuggers.command_line(debugger, COMMANDS[debugger], pid=service.pid) as words:
        shown = run_on_terminal(words)
    (line,) = [line for line in shown.split("\n") if "Total allocated size" in line]
    before, answer = shown[: shown.index(line)].rsplit("reading blocks: 100%", 1)
    assert "reading allocation sites: " in before
    blanks, first = answer.split("\r")[1:3]
    assert blanks.strip() == "" and len(blanks) >= len("reading blocks: 100%")
    assert first.startswith("0x") and ": size=" in first


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_on_no_terminal_there_is_no_progress(debugger, service):
    run = debuggers.run_debugger(debugger, COMMANDS[debugger], pid=service.pid)
    assert run.status == 0 and "Total allocated size" in run.stdout
    assert "reading blocks" not in run.stdout + run.stderr


def test_a_quick_command_shows_none():
    written = []
    progress = Progress(written.append)
    progress.show("reading blocks", 1, 2)
    progress.clear()
    assert written == []


def test_an_absurd_share_is_shown_between_0_and_100_percent(monkeypatch):
    monkeypatch.setattr("tracemortem.debugger.progress.PROGRESS_AFTER", 0)
    monkeypatch.setattr("tracemortem.debugger.progress.PROGRESS_EVERY", 0)
    written = []
    progress = Progress(written.append)
    progress.show("reading", 5, 0)
    progress.show("reading", 7, 5)
    progress.clear()
    assert [text.strip() for text in written] == ["reading: 0%", "reading: 100%", ""]
