"""Each command prints gdb's bytes, of a process and of a core, as text and as JSON."""

import os
import re

import debuggers
import looking
import pytest
from cli_command import run
from selection import thorough

COMMANDS = looking.engine.Engine().commands()
OF_SESSIONS = ["tm-filter", "tm-set"]  # a command line has no session
ASKED = [
    "tm-info",
    "tm-top",
    "tm-top traceback -n 3",
    "tm-top function --plain",
    "tm-top filename --cumulative -n 4",
    "tm-top --include '*/service.py:4'",
    "tm-top --sort allocated",
    "tm-traceback {block}",
    "tm-traceback -n 1 {block}",
    "tm-traces -n 5",
    "tm-traces --traceback -n 2",
    "tm-top type,lineno -n 3",
    "tm-top --type dict -n 3",
    "tm-find --type list -n 3",
    "tm-object {block}",
    "tm-holders {block}",
    "tm-holders --type dict -n 3",
    "tm-top type --retained -n 3",
    "tm-leaks -n 3",
    "tm-threads",
    "tm-memory",
    "tm-memory pools -n 3",
    "tm-diff {old} {other} -n 5",
    "tm-verify",
]


def on_command_line(line, target):
    """The words that ask the same there. `target` comes first, but tm-diff has none."""
    command, *words = [word.strip("'") for word in line.split()]
    return [command[3:]] + ([] if command == "tm-diff" else [str(target)]) + words


@pytest.fixture(scope="module")
def old(service, tmp_path_factory):
    path = tmp_path_factory.mktemp("old") / "old.snapshot"
    assert run("save", service.pid, path) == (0, "saved 1 file\n", "") or os.path.exists(str(path))
    return path


def lines(service, old, core):
    asked = [line.format(block=hex(service.block), old=old, other=core) for line in ASKED]
    return asked + [line + " --json" for line in asked if "traceback" not in line or "--" not in line]


def test_every_command_is_asked():
    assert {line.split()[0] for line in ASKED} | {"tm-save", "tm-export"} == set(COMMANDS) - set(OF_SESSIONS)


@pytest.mark.parametrize("kind", ["process", "core"])
def test_answers_are_gdbs_bytes(kind, service, core, old):
    asked = [line for line in lines(service, old, core)]
    if kind == "process":  # which runs for the command line, so that nothing is known of its registers
        # And a debugger reads the files of the program, which then are resident.
        asked = [line for line in asked if not re.match("tm-holders|tm-leaks|tm-memory|.*--retained", line)]
    asked = [re.sub(r"^(tm-traceback|tm-object|tm-holders) (\S+) --json", r"\1 --json \2", line) for line in asked]
    options = {"pid": service.pid} if kind == "process" else {"core": core, "program": service.python}
    by_gdb = debuggers.answers("gdb", asked, **options)
    target = service.pid if kind == "process" else core
    for line, expected in zip(asked, by_gdb):
        outcome = run(*on_command_line(line, target))
        assert (outcome.status, outcome.stderr) == (0, ""), line
        if kind == "process" and line.startswith("tm-leaks"):
            # A running thread has no registers to know; a debugger knows those of a stopped one.
            assert "the threads' registers are not known" in outcome.stdout or "json" in line
            continue
        assert debuggers.without_private(outcome.stdout) == expected, line


def test_source_lines_of_the_program_are_shown(service):
    outcome = run("top", service.pid, "--include", "*/service.py:4")
    assert "\n    self.items = [bytes(1000 + i) for i in range(number)]\n" in outcome.stdout


@thorough
def test_saved_snapshots_are_gdbs_bytes(service, core, tmp_path):
    by_gdb, ours, ours_live = tmp_path / "gdb", tmp_path / "ours", tmp_path / "live"
    debuggers.answers("gdb", ["tm-save %s" % by_gdb], core=core, program=service.python)
    assert run("save", core, ours).status == run("save", service.pid, ours_live).status == 0
    assert ours.read_bytes() == ours_live.read_bytes() == by_gdb.read_bytes()
    refused = run("save", core, ours)
    assert refused.status == 1 and "exists already" in refused.stderr and ours.read_bytes() == by_gdb.read_bytes()
    assert run("save", core, ours, "--force").status == 0
    assert run("top", ours, "-n", 1).stdout.splitlines()[0] == run("top", core, "-n", 1).stdout.splitlines()[0]


@thorough
@pytest.mark.parametrize("form", ["collapsed", "speedscope", "pprof", "json", "csv"])
def test_exports_are_gdbs_bytes(form, service, core, tmp_path):
    by_gdb, ours = tmp_path / "gdb", tmp_path / "ours"
    debuggers.answers("gdb", ["tm-export %s %s" % (form, by_gdb)], core=core, program=service.python)
    assert run("export", core, form, ours).status == 0
    assert ours.read_bytes() == by_gdb.read_bytes()


def test_an_answer_may_go_to_a_file(service, core, tmp_path):
    path = tmp_path / "answer"
    outcome = run("top", core, "--output", path)
    assert outcome == (0, "", "") and path.read_text() == run("top", core).stdout
    refused = run("top", core, "--output", core)
    assert refused.status == 1 and "is a core or a program, so it is not replaced" in refused.stderr
