"""The tracer compiled with AddressSanitizer and UndefinedBehaviorSanitizer, in CPythons that allocate by malloc().

Each of Python's blocks is then a block of the sanitizer. If the tracer reads an interpreter, a frame or an object that is
gone, or not made yet, or beyond its end, the program ends with a report. The programs are those of other tests; here they
must end with the same results. None forks: in a child of a process with threads, the allocator of gcc 12's libasan may
deadlock.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TESTS, "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from selection import thorough  # noqa: E402

pytestmark = thorough  # it builds the tracer once more

BUILD = os.path.join("build", "checked")
TRACER = os.path.join(debuggers.ROOT, BUILD, "python", "tracemortem", "_tracer.abi3.so")
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
PYTHONS = [python.path for python in pythons.find()]
IDS = [".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0] for python in pythons.find()]
BUSY = os.path.join(HERE, "programs", "busy.py")
FAULT_BUSY = os.path.join(TESTS, "fault", "programs", "busy.py")
OTHERS = {  # and their argument
    "dropin/programs/everything.py": "3",
    "dropin/programs/deep.py": "3",
    "dropin/programs/reborn.py": "3",
    "fault/programs/turning.py": "300",
    "lives/programs/coroutines.py": "3",
    "lives/programs/deep.py": "3",
    "lives/programs/threads.py": "3",
}


@pytest.fixture(scope="module", autouse=True)
def checked_build():
    """A build of its own. Returns the sanitizer's library, which must be loaded first."""
    make = ["make", "--no-print-directory", "-j2", "-C", debuggers.ROOT, "CC=gcc", "BUILD=" + BUILD, "CFLAGS=" + FLAGS]
    subprocess.run(make + ["tracer", "package"], check=True, stdout=subprocess.DEVNULL)
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, stdout=subprocess.PIPE)
    return os.path.realpath(found.stdout.decode().strip())


def run(python, arguments, preload, frames=25):
    environment = dict(
        os.environ,
        LD_PRELOAD=":".join(preload),
        TRACEMORTEM=str(frames),
        PYTHONPATH=os.path.join(debuggers.ROOT, BUILD, "python"),
        PYTHONMALLOC="malloc",
        PYTHONHASHSEED="0",
        PYTHONDONTWRITEBYTECODE="1",
        ASAN_OPTIONS="detect_leaks=0",  # Python's own
        TM_READY="1",
    )
    return subprocess.run(
        [python] + arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=debuggers.PATIENCE,
    )


def assert_no_report(ended):
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"Sanitizer" not in ended.stderr and b"runtime error" not in ended.stderr, ended.stderr.decode()


@pytest.mark.parametrize("python", PYTHONS, ids=IDS)
def test_a_program_which_does_everything_ends_without_a_report(python, checked_build):
    traced = run(python, [BUSY, "--no-fork"], [checked_build, TRACER])
    assert (traced.returncode, traced.stdout) == (0, b"done\n"), traced.stderr.decode()


def test_a_program_has_the_results_which_it_has_untraced(checked_build):
    traced = run(PYTHONS[-1], [FAULT_BUSY], [checked_build, TRACER])
    assert_no_report(traced)
    assert traced.stdout and traced.stdout == run(PYTHONS[-1], [FAULT_BUSY], [checked_build]).stdout


@pytest.mark.parametrize("program", OTHERS)
def test_programs_of_other_tests_end_without_a_report(program, checked_build):
    assert_no_report(run(PYTHONS[-1], [os.path.join(TESTS, program), OTHERS[program]], [checked_build, TRACER]))


def test_it_traces_and_is_checked(checked_build):
    code = "import tracemalloc; print(tracemalloc.get_object_traceback(object()), tracemalloc.__name__)"
    traced = run(PYTHONS[-1], ["-c", code], [checked_build, TRACER])
    assert b"<string>:1" in traced.stdout, traced.stderr.decode()
    with open(TRACER, "rb") as file:
        tracer = file.read()
    assert b"__asan_report_load4" in tracer and b"__ubsan_handle_" in tracer
