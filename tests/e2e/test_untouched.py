"""Nothing is called in the target or written to it."""

import os

import debuggers
import pytest
from e2e_programs import program

COMMANDS = [
    "tm-info",
    "tm-top",
    "tm-top traceback -n 5",
    "tm-top filename --cumulative --json",
    "tm-traceback 0x{target:x}",
    "tm-traceback 0x1",
    "tm-traces --sort site",
    "tm-save --force {core}.snapshot",
    "tm-diff {core}",
    "tm-diff {core}.snapshot",
    "tm-filter add '*.py'",
    "tm-top",
    "tm-filter clear",
]

# What each debugger runs before and after a command. Outside the debugger, the writable pages are compared.
CHECK = "import sys; sys.path.insert(0, {support!r}); import pages; {action}"


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_no_command_changes_a_writable_page(python, debugger, tmp_path):
    script = program("known.py")
    with debuggers.start_traced_process(python, script, frames=25) as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
        target = int(process.first_line.split()[0])
        run = {"gdb": "python ", "lldb": "script "}[debugger]
        support = os.path.join(debuggers.ROOT, "tests", "support")
        before = run + CHECK.format(support=support, action="before = pages.snapshot(%d)" % process.pid)
        after = run + (
            "changed = pages.differences(before, pages.snapshot(%d)); print('same' if not changed else '', changed)"
            % process.pid
        )
        lines = []
        for command in COMMANDS:
            attempt = command.format(target=target, core=core)
            if debugger == "gdb" and command.endswith("0x1"):
                attempt = "python\ntry: gdb.execute(%r)\nexcept gdb.error: print('refused')\nend" % attempt
            elif command.endswith("0x1"):
                attempt = "script lldb.debugger.HandleCommand(%r)" % attempt
            lines += [before, attempt, after]
        outcome = debuggers.run_debugger(debugger, lines, pid=process.pid)
        assert outcome.status == 0, outcome.stdout + outcome.stderr
        assert outcome.stdout.count("same []") == len(COMMANDS), outcome.stdout
