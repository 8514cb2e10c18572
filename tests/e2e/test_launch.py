"""Every way to start tracing, and the message where tracing cannot start."""

import json
import os
import subprocess

import debuggers
import pytest
import pythons
from e2e_programs import program, run

STATE = (
    "import os, sys, tracemortem; "
    "print(tracemortem.is_tracing(), tracemortem.get_traceback_limit(), os.environ.get('LD_PRELOAD'), sys.argv[1:])"
)


def test_dash_m_runs_code_modules_and_scripts_as_python_does(any_python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(STATE)
    for words in (["-c", STATE], [script], ["-m", "script"]):
        environment = {"PYTHONPATH": "%s:%s" % (debuggers.PACKAGE_PATH, tmp_path)}
        outcome = run([any_python, "-m", "tracemortem", "-f", 7] + words + ["--a", "b c"], **environment)
        assert (outcome.stdout, outcome.stderr) == ("True 7 None ['--a', 'b c']\n", "")
    outcome = run([any_python, "-m", "tracemortem", "-c", "import sys; sys.exit(3)"])
    assert outcome.returncode == 3


def test_a_preloaded_tracer_traces_from_the_beginning(any_python):
    code = STATE + "; print(tracemortem.get_traced_memory()[0] > 500000, 'tracemalloc' in sys.modules)"
    outcome = run([any_python, "-c", code], LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="9")
    assert outcome.stdout == "True 9 %s []\nTrue False\n" % debuggers.TRACER
    assert outcome.stderr == ""


def test_an_imported_tracer_waits_to_be_started(any_python):
    outcome = run([any_python, "-c", STATE + "; tracemortem.start(3); " + STATE])
    assert outcome.stdout == "False 1 None []\nTrue 3 None []\n"


RAN = "import tracemortem; print('ran', tracemortem.is_tracing())"
AS_PRELOADED = {"LD_PRELOAD": debuggers.TRACER}


@pytest.fixture(params=["preloaded", "by the start-up hook"])
def way_in(request):
    """(variables, code before the program): the ways by which the environment alone starts tracing."""
    if request.param == "preloaded":
        return AS_PRELOADED, ""
    with open(os.path.join(debuggers.ROOT, "src", "packaging", "tracemortem.pth")) as hook:
        return {}, hook.read()


@pytest.mark.parametrize("value", ["", "0", "00"])
def test_zero_or_nothing_switches_tracing_off(any_python, way_in, value):
    variables, hook = way_in
    outcome = run([any_python, "-c", hook + RAN], TRACEMORTEM=value, **variables)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "ran False\n", "")


NONSENSE = [("TRACEMORTEM", value) for value in ("65536", "-1", "x", "1x", " 1", "+1", "9" * 20, "1\n2", "x" * 9999)]
NONSENSE += [("TRACEMORTEM_REUSE", value) for value in ("3", "no")]
NONSENSE += [("TRACEMORTEM_DETAIL", value) for value in ("1", "Lean", "lean ", "fuller")]
NONSENSE += [("TRACEMORTEM_RECORDS", value) for value in ("0", "1023", "many")]


@pytest.mark.parametrize("name, value", NONSENSE)
def test_nonsense_in_a_variable_is_one_line_and_the_program_runs_untraced(python, way_in, name, value):
    variables, hook = way_in
    outcome = run([python, "-c", hook + RAN], **dict({"TRACEMORTEM": "1", name: value}, **variables))
    assert (outcome.returncode, outcome.stdout) == (0, "ran False\n")
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("tracemortem: %s=%s" % (name, value[:40].replace("\n", "?"))) and len(line) < 160
    assert line.endswith("; continuing without tracing")


def test_more_records_than_the_table_can_have_are_cut_with_one_line(python):
    outcome = run([python, "-c", RAN], TRACEMORTEM="1", TRACEMORTEM_RECORDS="9" * 30, **AS_PRELOADED)
    assert (outcome.returncode, outcome.stdout) == (0, "ran True\n")
    assert outcome.stderr == "tracemortem: TRACEMORTEM_RECORDS: the greatest number is 4000000; continuing with that\n"


def test_nonsense_is_no_harm_where_nobody_reads_what_the_tracer_says(python, way_in):
    variables, hook = way_in
    code = hook + "import signal; signal.signal(signal.SIGPIPE, signal.SIG_IGN); print('ran', signal.sigpending())"
    environment = dict(os.environ, TRACEMORTEM="x", PYTHONPATH=debuggers.PACKAGE_PATH, **variables)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        outcome = subprocess.run(
            [python, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=broken, timeout=debuggers.PATIENCE
        )
    assert outcome.stdout == b"ran set()\n"


def test_a_variable_that_does_not_matter_is_not_looked_at(python):
    for variables in ({"TRACEMORTEM": "0"}, {}):
        outcome = run([python, "-c", RAN], TRACEMORTEM_RECORDS="many", **dict(variables, **AS_PRELOADED))
        assert (outcome.stdout, outcome.stderr) == ("ran False\n", "")
    outcome = run([python, "-c", "import tracemortem; tracemortem.start(3); " + STATE], TRACEMORTEM="many")
    assert (outcome.stdout, outcome.stderr) == ("True 3 None []\n", "")


def test_a_program_that_starts_tracing_itself_runs_untraced_with_nonsense(python):
    code = "import tracemortem; tracemortem.start(); tracemortem.start(3); " + RAN
    outcome = run([python, "-c", code], TRACEMORTEM_RECORDS="many")
    assert (outcome.returncode, outcome.stdout) == (0, "ran False\n")
    assert len(outcome.stderr.splitlines()) == 1 and "TRACEMORTEM_RECORDS=many" in outcome.stderr


@pytest.mark.parametrize("value", ["0", "65536", "-1", "x", ""])
def test_a_senseless_number_on_the_command_line_is_refused(python, value):
    outcome = run([python, "-m", "tracemortem", "-f", value, "-c", "print('ran')"])
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "1 to 65535" in outcome.stderr


def test_in_a_program_which_is_no_python_nothing_happens():
    outcome = run(["/bin/sh", "-c", "echo fine"], LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="1")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "fine\n", "")
    outcome = run(["/bin/sh", "-c", "echo fine"], LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="nonsense", LD_BIND_NOW="1")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "fine\n", "")


FAKE_PYTHON = """
#include <stdio.h>
const char *Py_GetVersion(void) { return "3.99.1 (a Python of the future)"; }
int Py_IsInitialized(void) { return 0; }
void PyMem_SetAllocator(int domain, void *allocator) { puts("hooked"); }
int main(void) { puts("ran"); return 0; }
"""


def test_an_unknown_python_continues_without_tracing_and_says_so_in_one_line(tmp_path):
    source, unknown = tmp_path / "unknown.c", tmp_path / "unknown"
    source.write_text(FAKE_PYTHON)
    subprocess.run(["gcc", "-rdynamic", "-o", str(unknown), str(source)], check=True)
    outcome = run([unknown], LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="1")
    assert (outcome.returncode, outcome.stdout) == (0, "ran\n")
    assert len(outcome.stderr.splitlines()) == 1 and "continuing without tracing" in outcome.stderr
    outcome = run([unknown], LD_PRELOAD=debuggers.TRACER)
    assert (outcome.stdout, outcome.stderr) == ("ran\n", "")


@pytest.mark.parametrize("allocator", ["malloc", "debug", "pymalloc_debug", "malloc_debug"])
def test_the_interpreters_own_choice_of_allocators_is_traced_too(any_python, allocator):
    if pythons.is_free_threaded(any_python):
        allocator = allocator.replace("pymalloc", "malloc").replace("malloc", "mimalloc")  # it has no other
    code = (
        "import sys, tracemortem; size = 1000 - sys.getsizeof(b''); "
        "before = tracemortem.get_traced_memory()[0]; keep = [bytes(size) for _ in range(1000)]; "
        "after = tracemortem.get_traced_memory()[0]; print(1000000 <= after - before <= 1020000); del keep; "
        "print(tracemortem.get_traced_memory()[0] - before < 5000)"
    )
    outcome = run([any_python, "-c", code], LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="1", PYTHONMALLOC=allocator)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "True\nTrue\n", "")


BESIDE = """
import os, sys, tracemalloc
kept = [bytes(967) for _ in range(50)]
os.write(int(os.environ["TM_READY"]), b"%d\\n" % tracemalloc.is_tracing())
sys.stdin.readline()
"""


def test_tm_info_says_where_stock_tracemalloc_hears_of_births_in_our_place(any_python, tmp_path):
    """From 3.13 on only one tracer can hear of births. Before, a stock tracer that is ours is not started again."""
    script = tmp_path / "beside.py"
    script.write_text(BESIDE)
    takes_our_place = run([any_python, "-c", "import sys; print(sys.version_info >= (3, 13))"]).stdout == "True\n"
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "3"}
    for options in ([], ["-X", "tracemalloc=2"]):
        with debuggers.start_process([any_python] + options + [script], environment=variables) as process:
            assert process.first_line == "1"
            commands = ["tm-info --json", "tm-info", "tm-top --json --include %s" % script]
            facts, info, top = debuggers.answers("gdb", commands, pid=process.pid)
        exact = not (options and takes_our_place)
        assert json.loads(facts)["reuse_exact"] == exact
        assert ("free lists:        exact:" if exact else "free lists:        not exact:") in info
        # Blocks from the allocators are recorded as usual.
        assert {row["lineno"]: row["size"] for row in json.loads(top)["statistics"]}[3] >= 50 * 1000


def test_a_forked_child_has_a_table_of_its_own(any_python, tmp_path):
    with debuggers.start_traced_process(any_python, program("life.py")) as process:
        parent, child = map(int, process.first_line.split())
        commands = ["tm-top --json --limit 1000 --include '*life.py'", "tm-info --json"]
        answers = {pid: debuggers.answers("gdb", commands, pid=pid) for pid in (parent, child)}
    tops, infos = ({pid: json.loads(texts[n]) for pid, texts in answers.items()} for n in (0, 1))
    with open(program("life.py")) as file:
        lines = {text.partition("#")[2].strip(): number for number, text in enumerate(file, 1) if "# " in text}

    def blocks(pid, size):
        rows = [
            row
            for row in tops[pid]["statistics"]
            if row["lineno"] == lines["before" if size == 3000 else "in the child"]
        ]
        return sum(row["size"] // size for row in rows)

    assert (blocks(parent, 3000), blocks(parent, 4000)) == (100, 0)
    assert (blocks(child, 3000), blocks(child, 4000)) == (50, 50)
    assert {pid: info["pid"] for pid, info in infos.items()} == {parent: parent, child: child}


def test_no_symbol_of_pythons_is_needed_to_load_the_tracer():
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", debuggers.TRACER], stdout=subprocess.PIPE, universal_newlines=True, check=True
    ).stdout
    needed = [line.split()[1] for line in symbols.splitlines() if line.split()[0] == "U"]
    assert needed and not [name for name in needed if "Py" in name]
