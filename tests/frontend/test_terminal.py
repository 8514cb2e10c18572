"""On a terminal tm-top prints columns, cut to the debugger's width; a script and a pipe get tracemalloc's rows.

Strategy: each debugger runs on a pseudo-terminal, where commands are typed at its prompt. Both must show the same.
"""

import os
import pty
import re
import select
import subprocess
import time

import debuggers
import pytest

PYTHON = {"gdb": "python", "lldb": "script"}
SETTINGS = {
    "gdb": ["set confirm off", "set pagination off", "set style enabled %s", "set width %d"],
    "lldb": ["settings set use-color %s", "settings set term-width %d"],
}
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A debugger at its prompt."""

    def __init__(self, debugger, pid):
        self._python = PYTHON[debugger]
        self._typed = 0
        self._ours, its = pty.openpty()
        words = {
            "gdb": [
                debuggers.GDB,
                "-nx",
                "-q",
                "-iex",
                "set debuginfod enabled off",
                "-iex",
                "set height 0",
                "-p",
                str(pid),
            ],
            "lldb": [debuggers.LLDB, "--no-lldbinit", "-p", str(pid)],
        }
        environment = dict(os.environ, TERM="xterm", INPUTRC="/dev/null")
        self._process = subprocess.Popen(words[debugger], stdin=its, stdout=its, stderr=its, env=environment)
        os.close(its)

    def type(self, line):
        """What the terminal shows once this line is typed and has done its work."""
        self._typed += 1
        # What is typed is echoed, so what is printed must differ from it.
        os.write(self._ours, ('%s\n%s print("@@" + "done %d")\n' % (line, self._python, self._typed)).encode())
        shown, end = b"", time.monotonic() + debuggers.PATIENCE
        while b"@@done %d" % self._typed not in shown:
            readable, _, _ = select.select([self._ours], [], [], max(0, end - time.monotonic()))
            assert readable, shown
            shown += os.read(self._ours, 65536)
        return shown.decode(errors="replace").replace("\r", "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


def table_of(text):
    """The lines from the header of the columns to the total."""
    lines = [re.sub(r"^\((gdb|lldb)\) ", "", line) for line in text.split("\n")]  # lldb may draw its prompt again
    (first,) = [number for number, line in enumerate(lines) if re.search(r"size +% +count +average +place", line)]
    (last,) = [number for number, line in enumerate(lines) if line.startswith("Total allocated size")]
    return lines[first:last]


def ask(debugger, pid, styled, width, command):
    load = "source %s" % debuggers.TM_GDB if debugger == "gdb" else "command script import %s" % debuggers.TM_LLDB
    words = {"gdb": ("on", "off"), "lldb": ("true", "false")}[debugger]
    with Terminal(debugger, pid) as terminal:
        for line in [load] + SETTINGS[debugger]:
            value = words[not styled] if "%s" in line else width
            terminal.type(line % value if "%" in line else line)
        return terminal.type(command)


@pytest.mark.parametrize("width", [70, 100])
def test_both_debuggers_show_the_same_columns(service, width):
    tables = {
        debugger: table_of(CONTROL.sub("", ask(debugger, service.pid, False, width, "tm-top -n 5")))
        for debugger in debuggers.DEBUGGERS
    }
    assert tables["gdb"] == tables["lldb"]
    assert len(tables["gdb"]) >= 6
    assert all(len(line) < width for line in tables["gdb"]), tables["gdb"]


def test_colours_are_those_of_the_debuggers(service):
    for debugger in debuggers.DEBUGGERS:
        shown = ask(debugger, service.pid, True, 100, "tm-top -n 5")
        assert "\x1b[32m" in shown and "\x1b[33m" in shown, debugger


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_plain_rows_on_a_terminal_are_those_of_tracemalloc(service, debugger):
    shown = ask(debugger, service.pid, False, 0 if debugger == "gdb" else 1024, "tm-top -n 5 --plain")
    assert len(re.findall(r":\d+: size=\S+ \S+, count=\d+, average=", shown)) == 5
    (script,) = debuggers.answers(debugger, ["tm-top -n 5"], pid=service.pid)
    assert len(re.findall(r":\d+: size=\S+ \S+, count=\d+, average=", script)) == 5
