"""A debug build of the tracer checks its own table, with tm-verify's checker: all programs run to their end with it.

A check that finds damage ends the program, so a program that reaches its end has passed all checks. A program that damages
the table shows that there are checks.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from selection import thorough  # noqa: E402

pytestmark = thorough  # it builds the engine and the tracer once more

BUILD = os.path.join(debuggers.BUILD, "debug")
TRACER = os.path.join(BUILD, "python", "tracemortem", "_tracer.abi3.so")
PYTHONS = [python.path for python in pythons.find()]
IDS = [".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0] for python in pythons.find()]
# What takes long is not run in a debug build of CPython, where it takes far longer.
NEWEST = [python.path for python in pythons.find() if ".%dd" % python.version[1] not in python.path][-1]
BUSY = os.path.join(HERE, "programs", "busy.py")
E2E = os.path.join(os.path.dirname(HERE), "e2e", "programs")
DROPIN = os.path.join(os.path.dirname(HERE), "dropin", "programs")

# Through ctypes: changes the total of traced memory, at offset 256 of the root, by more than any block has.
DAMAGE = """
import ctypes, tracemortem
from tracemortem import _tracer
root = ctypes.c_uint64.in_dll(ctypes.CDLL(_tracer.__file__), "tracemortem_root").value
ctypes.c_uint64.from_address(root + 256).value += 1 << 50
tracemortem.stop()
"""


@pytest.fixture(scope="module", autouse=True)
def debug_build():
    """A build of its own, beside the one that all other tests use."""
    make = [
        "make",
        "--no-print-directory",
        "-j2",
        "-C",
        debuggers.ROOT,
        "DEBUG=1",
        "CFLAGS=-O1 -g",
        "BUILD=build/debug",
    ]
    subprocess.run(make + ["tracer", "package"], check=True, stdout=subprocess.DEVNULL)


def run(command, every, **variables):
    environment = dict(os.environ, TRACEMORTEM_SELFCHECK=str(every), **variables)
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=debuggers.PATIENCE,
    )


def traced(python, *arguments, every=50000, frames=25):
    package = os.path.join(BUILD, "python")
    return run([python, "-m", "tracemortem", "-f", frames] + list(arguments), every, PYTHONPATH=package)


def preloaded(python, *arguments, every=50000, frames=25):
    variables = {"LD_PRELOAD": TRACER, "TRACEMORTEM": str(frames), "PYTHONPATH": os.path.join(BUILD, "python")}
    return run([python] + list(arguments), every, **variables)


@pytest.mark.parametrize("launch", [traced, preloaded])
@pytest.mark.parametrize("python", PYTHONS, ids=IDS)
def test_a_program_which_does_everything_leaves_the_table_sound(python, launch):
    ended = launch(python, BUSY)
    assert (ended.returncode, ended.stdout) == (0, b"done\n"), ended.stderr.decode()


@pytest.mark.parametrize("name", ["everything.py", "arrays.py", "cycles.py", "deep.py", "reborn.py", "sizes.py"])
def test_the_drop_ins_programs_leave_the_table_sound(name):
    ended = preloaded(NEWEST, os.path.join(DROPIN, name), 5)
    assert b"self-check" not in ended.stderr, ended.stderr.decode()


@pytest.mark.parametrize("name", ["known.py", "million.py"])
def test_the_debuggers_programs_leave_the_table_sound(name):
    command = [NEWEST, "-m", "tracemortem", "-f", "25", os.path.join(E2E, name)]
    environment = {"PYTHONPATH": os.path.join(BUILD, "python"), "TRACEMORTEM_SELFCHECK": "200000"}
    with debuggers.start_process(command, environment=environment) as process:
        process.tell()
        process.popen.wait(debuggers.PATIENCE)
        assert "self-check" not in process.stderr()


def test_with_a_check_after_every_few_allocations():
    ended = traced(NEWEST, "-c", "import json; kept = [{i: str(i)} for i in range(500)]", every=100)
    assert ended.returncode == 0, ended.stderr.decode()


def test_damage_ends_the_program_and_is_named():
    ended = traced(NEWEST, "-c", DAMAGE)
    assert ended.returncode < 0
    assert b"self-check before tracing stops" in ended.stderr
    assert b"damaged: the trace table at 0x" in ended.stderr and b"traced memory is" in ended.stderr


def test_other_builds_have_nothing_of_it():
    with open(debuggers.TRACER, "rb") as file:
        tracer = file.read()
    assert b"self-check" not in tracer and b"tm-verify" not in tracer
