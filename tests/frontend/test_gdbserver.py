"""Both debuggers on GNU's gdbserver, which may be on another host: the table is found, and no file of this host is shown."""

import contextlib
import re
import shutil
import subprocess

import debuggers
import pytest
import pythons

PROGRAM = """kept = [bytes(9000) for i in range(1000)]
import os, sys
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""
CONNECT = {"gdb": ["set sysroot /", "target remote localhost:%s"], "lldb": ["gdb-remote %s"]}


@contextlib.contextmanager
def served(process):
    """Let gdbserver stop the process, and serve one client. Yields the port."""
    if not shutil.which("gdbserver"):
        pytest.skip("no gdbserver")
    words = ["gdbserver", "--once", "--attach", "localhost:0", str(process.pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, universal_newlines=True) as server:
        try:
            lines = []
            port = None
            while not port:
                lines.append(server.stderr.readline())
                assert lines[-1], lines
                port = re.match(r"Listening on port (\d+)$", lines[-1])
            yield port.group(1)
        finally:
            server.kill()


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_the_table_is_found_behind_gdbserver_and_no_line_of_a_file_here_is_shown(debugger, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with debuggers.start_traced_process(pythons.find()[-1].path, script, preload=True) as process:
        with served(process) as port:
            connect = [line % port if "%s" in line else line for line in CONNECT[debugger]]
            lines = connect + ["tm-top -n 1 --include */program.py", "tm-verify", "detach"]
            run = debuggers.run_debugger(debugger, lines)
    said = run.stdout + run.stderr
    assert run.status == 0 and "healthy: the trace table" in said, said
    assert re.search(r"/program\.py:1: size=\d+ KiB, count=100\d, ", said), said
    assert "bytes(9000)" not in said and said.count("may be on another host") == 1
