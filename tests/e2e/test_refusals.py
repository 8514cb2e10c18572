"""If there is no answer, the message says what, why and what to type next. If there is one, it is found."""

import json
import os
import struct

import debuggers
import pytest

PROGRAM = """import os, sys
keep = [bytes(967) for _ in range(50)]
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""
# Offsets in the root: docs/layout.md.
BYTE_ORDER_OFFSET, MAJOR_OFFSET, POINTER_SIZE_OFFSET, SELF_OFFSET = 16, 20, 28, 32
TRACED_OFFSET = 256


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def info_of(process):
    return json.loads(debuggers.answers("gdb", ["tm-info --json"], pid=process.pid)[0])


def refused(debugger, command, *words, **target):
    outcome = debuggers.run_debugger(debugger, [command], **target)
    said = outcome.stdout + outcome.stderr
    assert outcome.status == 1, said
    assert "Traceback (most recent call last)" not in said
    for word in words:
        assert word in said
    return said


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_tracer_which_was_never_started(python, script, debugger):
    with debuggers.start_process([python, script], environment={"LD_PRELOAD": debuggers.TRACER}) as process:
        refused(debugger, "tm-top", "TRACEMORTEM", pid=process.pid)
        (text,) = debuggers.answers(debugger, ["tm-info --json"], pid=process.pid)
        assert (json.loads(text)["tracing"], json.loads(text)["state"]) == (False, "loaded")


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_tracer_which_was_stopped(python, script, debugger):
    script.write_text("import tracemortem\ntracemortem.start()\ntracemortem.stop()\n" + PROGRAM)
    with debuggers.start_process([python, script], environment={"PYTHONPATH": debuggers.PACKAGE_PATH}) as process:
        refused(debugger, "tm-top", "stop", pid=process.pid)
        (text,) = debuggers.answers(debugger, ["tm-info --json"], pid=process.pid)
        assert (json.loads(text)["tracing"], json.loads(text)["state"]) == (False, "stopped")


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_table_of_a_later_layout(python, script, debugger):
    with debuggers.start_traced_process(python, script) as process:
        root = info_of(process)["table_address"]
        change(process, root, (MAJOR_OFFSET, struct.pack("<H", 99)))
        refused(debugger, "tm-top", "99", pid=process.pid)


def change(process, root, *fields):
    """Write (offset, bytes) into the root, as another version of the tracer would."""
    with open("/proc/%d/mem" % process.pid, "r+b", buffering=0) as memory:
        for offset, data in fields:
            memory.seek(root + offset)
            memory.write(data)


def test_a_table_of_a_big_endian_machine(python, script):
    with debuggers.start_traced_process(python, script) as process:
        root = info_of(process)["table_address"]
        change(
            process, root, (BYTE_ORDER_OFFSET, struct.pack(">I", 0x01020304)), (SELF_OFFSET, struct.pack(">Q", root))
        )
        refused("lldb", "tm-top", "big-endian", pid=process.pid)


def test_a_table_of_a_32_bit_machine(python, script):
    with debuggers.start_traced_process(python, script) as process:
        root = info_of(process)["table_address"]
        change(process, root, (POINTER_SIZE_OFFSET, b"\4"))
        refused("gdb", "tm-top", "pointers of 4 bytes", "64-bit", pid=process.pid)


def places_of_the_root(process, root):
    """Where the tracer's writable data holds the root's address. Its symbol is one of these places."""
    places = []
    with open("/proc/%d/maps" % process.pid) as file:
        lines = [line.split() for line in file]
    with open("/proc/%d/mem" % process.pid, "rb", buffering=0) as memory:
        for index, words in enumerate(lines):
            # The data, and the zeroed memory after it, which has no name.
            near = words[-1].endswith("_tracer.abi3.so") or lines[index - 1][-1].endswith("_tracer.abi3.so")
            if "w" in words[1] and near:
                start, end = (int(bound, 16) for bound in words[0].split("-"))
                memory.seek(start)
                data = memory.read(end - start)
                places += [start + at for at in range(0, len(data), 8) if data[at : at + 8] == struct.pack("<Q", root)]
    assert places
    return places


@pytest.mark.parametrize("wrong", [0, 1, 0x7FFFFFFFF000, 0xFFFFFFFFFFFFFFFF])
def test_a_symbol_which_leads_nowhere_is_not_believed(python, script, wrong):
    with debuggers.start_traced_process(python, script) as process:
        before = info_of(process)
        places = places_of_the_root(process, before["table_address"])
        with open("/proc/%d/mem" % process.pid, "r+b", buffering=0) as memory:
            for place in places:
                memory.seek(place)
                memory.write(struct.pack("<Q", wrong))
        after = info_of(process)
        assert (before["found_by"], after["found_by"]) == ("symbol", "search")
        assert after["table_address"] == before["table_address"]


def test_the_kernels_core_says_what_the_process_said(python, script, tmp_path):
    script.write_text(PROGRAM + "os.abort()\n")
    commands = ["tm-top --json", "tm-info --json", "tm-top traceback"]
    with debuggers.start_traced_process(python, script, frames=5, folder=tmp_path) as process:
        alive = debuggers.answers("gdb", commands, pid=process.pid)
        core = tmp_path / "kernel.core"
        debuggers.kernel_core(process, core)
    for debugger in debuggers.DEBUGGERS:
        assert debuggers.answers(debugger, commands, core=core, program=python) == alive
    os.unlink(core)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_damaged_table_makes_tm_verify_fail(python, script, debugger):
    with debuggers.start_traced_process(python, script) as process:
        root = info_of(process)["table_address"]
        with open("/proc/%d/mem" % process.pid, "r+b", 0) as memory:
            memory.seek(root + TRACED_OFFSET)
            memory.write(struct.pack("<Q", 1 << 50))
        said = refused(debugger, "tm-verify", "damaged: ", "traced memory is 112589990", pid=process.pid)
        assert "root at 0x%x" % (root + TRACED_OFFSET) in said
