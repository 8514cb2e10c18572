"""Both debuggers on GNU's gdbserver, which may be on another host: the table is found, and no file of this host is shown."""

import re

import debuggers
import pytest
import pythons

PROGRAM = """kept = [bytes(9000) for i in range(1000)]
import os, sys
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_the_table_is_found_behind_gdbserver_and_no_line_of_a_file_here_is_shown(debugger, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with debuggers.start_traced_process(pythons.find()[-1].path, script, preload=True) as process:
        with debuggers.served(process.pid) as port:
            connect = [line % port if "%s" in line else line for line in debuggers.CONNECT[debugger]]
            lines = connect + ["tm-top -n 1 --include */program.py", "tm-verify", "detach"]
            run = debuggers.run_debugger(debugger, lines)
    said = run.stdout + run.stderr
    assert run.status == 0 and "healthy: the trace table" in said, said
    assert re.search(r"/program\.py:1: size=\d+ KiB, count=100\d, ", said), said
    assert "bytes(9000)" not in said and said.count("may be on another host") == 1
