"""The gentle ways in docs/ways-in.md do what the document says: they answer, and they leave the process running.

Strategy: run the lines of the document itself on a real process. How long the process stops is not tested, since a
timing must not decide a test: what is tested is what makes it short. The commands are loaded before the debugger
attaches, no symbols of Python are read, and the answer is that of the ordinary way.
"""

import os
import re
import shlex
import subprocess

import debuggers
import pytest

DEBUGGER = {"gdb": debuggers.GDB, "lldb": debuggers.LLDB}


def recipe(debugger):
    """The words of the command line in the document."""
    with open(os.path.join(debuggers.ROOT, "docs", "ways-in.md"), encoding="utf-8") as file:
        section = re.search(r"^## A running process\n(.*?)^## ", file.read(), re.MULTILINE | re.DOTALL).group(1)
    lines = re.findall(r"^    (%s (?:.*\\\n)*.*)" % debugger, section, re.MULTILINE)
    return shlex.split(lines[0].replace("\\\n", " "))


def run(debugger, words, pid, instead_of_top):
    """Run the recipe on a process, with other commands in the place of tm-top."""
    flag = words[words.index("tm-top") - 1]
    place = words.index("tm-top") - 1
    asked = [word for command in instead_of_top for word in (flag, command)]
    words = [DEBUGGER[debugger]] + words[1:place] + asked + words[place + 2 :]
    words = [word.replace("PID", str(pid)) for word in words]
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(words, cwd=debuggers.ROOT, universal_newlines=True, timeout=debuggers.PATIENCE, **options)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_the_gentle_recipe_loads_first_and_gets_the_same_answer(debugger, service):
    words = recipe(debugger)
    load = next(place for place, word in enumerate(words) if re.search("source |script import ", word))
    attach = next(place for place, word in enumerate(words) if "attach" in word)
    assert load < attach < words.index("tm-top") < words.index("detach")
    (expected,) = debuggers.answers(debugger, ["tm-top -n 3"], pid=service.pid)
    assert expected in debuggers.without_private(run(debugger, words, service.pid, ["tm-top -n 3"]))
    with open("/proc/%d/status" % service.pid) as status:
        assert re.search(r"^TracerPid:\s+0$", status.read(), re.MULTILINE)


def test_the_gentle_recipe_reads_no_symbols_of_libraries(service):
    words = recipe("gdb")
    assert "-readnever" in words  # no debug information at all
    (tracer,) = re.findall(
        r"^0x.* (Yes|No) .*_tracer\.abi3\.so$", run("gdb", words, service.pid, ["info sharedlibrary"]), re.M
    )
    assert tracer == "No"


def test_the_document_warns_of_watchdogs_and_advises_a_core_first():
    with open(os.path.join(debuggers.ROOT, "docs", "ways-in.md"), encoding="utf-8") as file:
        text = " ".join(file.read().split())
    assert re.search(r"Take a core first.*?watchdog.*?gunicorn.*?30 s", text)
