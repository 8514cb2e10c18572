"""Processes and cores that cannot be opened, or only after another command: the message says which command."""

import ctypes
import gzip
import os
import random
import re
import subprocess

import asking
import cores
import debuggers
import pytest
import subsets

PTRACE_SEIZE = 0x4206

ATTACH = {
    "gdb": "python\ntry:\n    gdb.execute('attach %d')\nexcept gdb.error as error:\n    print('refused: %%s' %% error)\nend",
    "lldb": "script lldb.debugger.HandleCommand('process attach -p %d')",
}
COMPRESSED = {"zst": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18", "xz": b"\xfd7zXZ\0", "bz2": b"BZh9"}


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_process_which_cannot_be_attached_to(dumped, debugger):
    libc = ctypes.CDLL(None, use_errno=True)
    with debuggers.start_traced_process(dumped.python, dumped.script) as process:
        # We trace it already, so the debugger is refused, as it is by Yama or without the rights.
        assert libc.ptrace(PTRACE_SEIZE, process.pid, None, None) == 0, os.strerror(ctypes.get_errno())
        run = debuggers.run_debugger(debugger, [ATTACH[debugger] % process.pid, "tm-top"])
    assert run.status == 1 and re.search("refused|fail", run.stdout + run.stderr)
    message = run.stderr[run.stderr.index("no process and no core") :]
    for words in ("attach PID", "yama/ptrace_scope", "--cap-add SYS_PTRACE", "core-file FILE", "--core FILE"):
        assert words in message
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_compressed_core_is_refused_with_what_to_type(dumped, whole, tmp_path, debugger):
    made = tmp_path / "core.gz"
    with open(dumped.core, "rb") as file:
        made.write_bytes(gzip.compress(file.read(), 1))
    (own, other) = asking.ask(debugger, [(made, ["tm-top"]), (dumped.core, ["tm-diff %s" % made])])
    # The debugger does not open it as a core. The message for "no core" mentions compressed files.
    assert own.opened.error and "coredumpctl dump" in own[0].error and "zstd -d" in own[0].error
    (command,) = re.findall("Decompress it: (.*)", other[0].error)
    core = str(tmp_path / "core")
    subprocess.run(command.replace("NEW-FILE", core), shell=True, check=True)
    (answers,) = asking.ask(debugger, [(core, [subsets.LINES])])
    assert subsets.parse(answers[0].output)["total_size"] == whole.totals[subsets.LINES][0]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_every_compression_of_systemd_coredump_is_known(dumped, tmp_path, debugger):
    for name, magic in COMPRESSED.items():
        (tmp_path / name).write_bytes(magic + bytes(100))
    (answers,) = asking.ask(debugger, [(dumped.core, ["tm-diff %s" % (tmp_path / name) for name in COMPRESSED])])
    for answer, program in zip(answers, ("zstd", "lz4", "xz", "bzip2")):
        assert "%s -d < " % program in answer.error and "coredumpctl dump PID" in answer.error


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_mangled_core_gets_a_message_and_the_debugger_goes_on(dumped, whole, tmp_path, debugger):
    pick, paths = random.Random(5), []
    with open(dumped.core, "rb") as file:
        beginning = bytearray(file.read(64 + 56 * len(dumped.segments.segments)))
    for number in range(12):
        mangled = bytearray(beginning)
        for _ in range(pick.choice((1, 3, 30))):
            mangled[pick.randrange(4, len(mangled))] = pick.choice((0, 255, pick.randrange(256)))
        path = tmp_path / str(number)
        cores.copy(dumped.core, path)
        with open(path, "r+b") as file:
            file.write(mangled)
        paths.append(path)
    lines = ["tm-diff %s --json -n 1000000" % path for path in paths]
    (answers,) = asking.ask(debugger, [(dumped.core, lines + [subsets.LINES])])
    assert answers[-1].output == whole.texts[1]
    for answer in answers[:-1]:
        assert "internal error" not in answer.error and "Traceback" not in answer.error
        if not answer.error:
            # If the headers give wrong addresses, a part of the memory may be found, and no more.
            old = sum(row["size"] - row["size_diff"] for row in subsets.parse(answer.output)["statistics"])
            assert 0 <= old <= whole.totals[subsets.LINES][0]


def test_a_directory_a_pipe_or_an_empty_file_is_refused_as_a_core(dumped, tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    (tmp_path / "empty").write_bytes(b"")
    said = {"pipe": "not a regular file", "empty": "is empty", "none": "No such file", ".": "is a directory"}
    for debugger in debuggers.DEBUGGERS:
        (answers,) = asking.ask(debugger, [(dumped.core, ["tm-diff %s" % (tmp_path / name) for name in said])])
        for answer, words in zip(answers, said.values()):
            assert words in answer.error
