"""Threads without any lock of CPython's write the table together: no data race, nothing lost, nothing counted twice.

This simulates a free-threaded interpreter, in case none is found (test_free_threaded.py runs real ones). And it looks
closer: it runs the same code under ThreadSanitizer.
"""

import glob
import os
import platform
import shutil
import subprocess
import sysconfig

import pytest
from selection import thorough

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SOURCES = [
    path
    for folder in ("tracer", "layout")
    for path in glob.glob(os.path.join(ROOT, "src", folder, "*.c"))
    if os.path.basename(path) != "preload.c"
]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ThreadSanitizer is built for x86-64 here")
@thorough
@pytest.mark.parametrize("profile", ["full", "lean", "sampled"])
@pytest.mark.parametrize("build", [[], ["-DFREE_THREADED"]], ids=["3.12", "3.13t"])
def test_threads_without_a_lock_write_an_exact_table_without_a_data_race(tmp_path, build, profile):
    program = str(tmp_path / "threads")
    include = sysconfig.get_path("include")
    flags = [
        "-std=gnu11",
        "-O1",
        "-g",
        "-fsanitize=thread",
        "-rdynamic",
        "-w",
        "-I" + include,
        "-I" + ROOT + "/src",
    ] + build
    source = os.path.join(ROOT, "tests", "tracer", "threads.c")
    unresolved = "-Wl,--unresolved-symbols=ignore-all"  # of CPython's functions, all weak
    subprocess.run(["gcc"] + flags + ["-o", program, source] + SOURCES + [unresolved, "-lpthread", "-ldl"], check=True)
    # ThreadSanitizer and the kernel may disagree about where a program's memory is, if that is random.
    words = [shutil.which("setarch"), "-R"] if shutil.which("setarch") else []
    run = subprocess.run(
        words + [program, profile],
        env=dict(os.environ, TSAN_OPTIONS="halt_on_error=0 exitcode=66"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stdout[-6000:]
    assert run.stdout.endswith("0 blocks lost\n") and "data race" not in run.stdout
