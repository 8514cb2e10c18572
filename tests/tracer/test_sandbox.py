"""In a sandbox that forbids process_vm_readv(), the tracer still reads nothing that is absent, and traces."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
import sandbox  # noqa: E402

PROGRAM = """if 1:
    import tracemortem
    keep = [bytes(967) for _ in range(50)]
    kept = tracemortem.get_object_traceback(keep[7])
    print(kept, tracemortem.get_traced_memory()[0] > 50000, sum(1 for _ in range(3)))
"""


@pytest.mark.parametrize("python", pythons.find(), ids=pythons.name)
def test_a_forbidden_question_is_asked_otherwise(python, tmp_path):
    run = subprocess.run(
        sandbox.words(tmp_path, "no-reading") + [python.path, "-c", PROGRAM],
        env=dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="5", PYTHONPATH=debuggers.PACKAGE_PATH),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=debuggers.PATIENCE,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "<string>:3 True 3\n", "")


# Kills itself at the first prctl() from then on, and at no other call.
LATER = """if 1:
    import ctypes, platform, struct
    libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer
    number = {"x86_64": 157, "aarch64": 167}[platform.machine()]
    program = struct.pack("<" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 6, 0, 0, 0x80000000, 6, 0, 0, 0x7FFF0000)
    code = buffer(program, len(program))
    whole = buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)), 16)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, whole) == 0
    keep = [bytes(10000) for _ in range(4000)]
    print(len(keep))
"""


@pytest.mark.parametrize("python", pythons.find(), ids=pythons.name)
def test_the_map_grows_in_a_sandbox_which_kills_for_naming_memory(python):
    run = debuggers.run_preloaded(python.path, LATER)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"4000\n", b"")
