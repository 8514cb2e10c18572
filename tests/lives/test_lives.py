"""Every way a process lives: what is said of it is exact all the same.

Strategy: the programs/ say beside their lines how much of each is alive when they are ready: "# N x SIZE". A debugger is
asked of each process, and its rows for the program's files must be those. With the oldest and the newest CPython here.
"""

import collections
import json
import os
import re
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402

PYTHONS = pythons.find()
TWO = sorted({PYTHONS[0], PYTHONS[-1]}) if not os.environ.get("PYTHONS") else PYTHONS
each_python = pytest.mark.parametrize("python", [p.path for p in TWO], ids=map(pythons.name, TWO))


def program(name):
    return os.path.join(HERE, "programs", name)


def claims(name):
    """{(line, size): count} of the lines of a program with a claim."""
    found = {}
    with open(program(name)) as file:
        for number, line in enumerate(file, 1):
            match = re.search(r"  # (\d+) x (\d+)$", line)
            if match:
                found[number, int(match.group(2))] = int(match.group(1))
    return found


def blocks(pid, pattern):
    """{(line, size): count} of the blocks which a process holds of the files which match, by their newest frame."""
    command = "tm-traces --json --limit 1000000 --include '%s'" % pattern
    answer = json.loads(debuggers.answers("gdb", [command], pid=pid)[0])
    return collections.Counter((trace["traceback"][-1]["lineno"], trace["size"]) for trace in answer["traces"])


def started(python, name, *arguments, **options):
    return debuggers.start_traced_process(python, program(name), arguments, frames=5, preload=True, **options)


def require_claims(pid, name):
    wanted, found = claims(name), blocks(pid, program(name))
    assert wanted and {key: found[key] for key in wanted} == wanted


@each_python
@pytest.mark.parametrize("name", ["threads.py", "signals.py", "coroutines.py", "deep.py", "made.py"])
def test_what_the_program_says_is_what_the_table_says(python, name):
    with started(python, name) as process:
        require_claims(process.pid, name)
        if name == "made.py":
            assert blocks(process.pid, "made-up.py")[2, 600] == 200


@each_python
def test_the_lines_of_other_interpreters_are_told_too(python):
    with started(python, "subinterpreters.py") as process:
        require_claims(process.pid, "subinterpreters.py")
        assert blocks(process.pid, "inside.py")[4, 900] == 90
        assert not [size for _, size in blocks(process.pid, "<string>") if size == 10000]


@each_python
def test_the_workers_of_a_server_go_on_alone(python):
    with started(python, "prefork.py") as process:
        pids = {int(process.first_line)} | {int(process.ready()) for _ in range(3)}
        assert len(pids) == 4
        with open(program("prefork.py")) as file:
            lines = {text: n for n, line in enumerate(file, 1) for text in ("data = [", "requests = [") if text in line}
        held = []
        for pid in pids:
            found = blocks(pid, program("prefork.py"))
            if found:
                held.append((found[lines["data = ["], 2000], found[lines["requests = ["], 500]))
            else:
                require_claims(pid, "replaced.py")  # exec: a table of its own, from its beginning
        assert sorted(held) == [(40, 20), (60, 10), (80, 0)]


@each_python
@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_has_its_own_table(python, way):
    with started(python, "processes.py", way) as process:
        child = int(process.first_line)
        assert child != process.pid
        require_claims(child, "processes.py")
        assert not set(claims("processes.py")) & set(blocks(process.pid, program("processes.py")))
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


DAEMONS = """import ctypes, sys, threading
raw = ctypes.CDLL(None)
raw.PyMem_RawMalloc.restype = ctypes.c_void_p
raw.PyMem_RawFree.argtypes = [ctypes.c_void_p]
begun = threading.Barrier(5)
def work():
    begun.wait()
    while True:
        raw.PyMem_RawFree(raw.PyMem_RawMalloc(50)), [bytes(100)] * 9
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


@each_python
def test_daemon_threads_may_go_on_until_the_process_ends(python):
    environment = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="3")
    for _ in range(4):
        run = subprocess.run([python, "-c", DAEMONS], env=environment, stderr=subprocess.PIPE, timeout=debuggers.PATIENCE)
        assert (run.returncode, run.stderr) == (0, b"")


KEEP = """import os, sys
def allocate():
    return [bytes(667) for _ in range(33)]
kept = allocate()
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""


def require_keep(pid, pattern, line=3):
    assert blocks(pid, pattern)[line, 700] == 33


@each_python
def test_isolated_without_site_and_environment(python, tmp_path):
    script = tmp_path / "alone.py"
    script.write_text(KEEP)
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5"}
    with debuggers.start_process([python, "-E", "-I", "-S", script], environment=variables) as process:
        require_keep(process.pid, str(script))


@each_python
def test_in_a_virtual_environment(python, tmp_path):
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    script = tmp_path / "inside.py"
    script.write_text(KEEP)
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5"}
    with debuggers.start_process([tmp_path / "env" / "bin" / "python", script], environment=variables) as process:
        require_keep(process.pid, str(script))


@each_python
def test_modules_from_a_zip_file_from_bytecode_only_and_frozen_ones(python, tmp_path):
    with zipfile.ZipFile(str(tmp_path / "modules.zip"), "w") as archive:
        archive.writestr("zipped.py", KEEP[: KEEP.index("os.write")])
    (tmp_path / "bare.py").write_text(KEEP[: KEEP.index("os.write")])
    compile_it = "import py_compile; py_compile.compile('bare.py', 'bare.pyc', 'where/it/was.py')"
    subprocess.run([python, "-c", compile_it], cwd=str(tmp_path), check=True)
    (tmp_path / "bare.py").unlink()
    script = tmp_path / "main.py"
    script.write_text(
        "import os, sys\nsys.path.insert(0, 'modules.zip')\nimport zipped, bare\n"
        "frozen = compile('def hold(): return [bytes(667) for _ in range(33)]', '<frozen holder>', 'exec')\n"
        "exec(frozen)\nkept = hold()\n" + KEEP[KEEP.index("os.write") :]
    )
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5"}
    with debuggers.start_process([python, script], environment=variables, folder=tmp_path) as process:
        require_keep(process.pid, "*modules.zip/zipped.py")
        require_keep(process.pid, "where/it/was.py")
        require_keep(process.pid, "<frozen holder>", 1)
        assert blocks(process.pid, "<frozen importlib._bootstrap>")


EMBEDDING = r"""
#include <Python.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
    char line[8];
    for (int life = 0; life < 2; life++) {
        Py_Initialize();
        if (PyRun_SimpleString("exec(compile('kept = [bytes(667) for _ in range(33)]', 'embedded.py', 'exec'))") != 0)
            return 1;
        dprintf(atoi(getenv("TM_READY")), "ready\n");
        if (fgets(line, sizeof line, stdin) == NULL)
            return 2;
        if (Py_FinalizeEx() != 0)
            return 3;
    }
    return 0;
}
"""


@each_python
def test_a_program_which_embeds_python_twice_in_its_life(python, tmp_path):
    probe = "import sysconfig as s; print(s.get_path('include'), *map(s.get_config_var, ('LIBDIR', 'MULTIARCH', 'LDVERSION')))"
    include, folder, machine, version = subprocess.check_output([python, "-c", probe], universal_newlines=True).split()
    folders = [folder, os.path.join(folder, machine)]
    folder = next((name for name in folders if os.path.exists("%s/libpython%s.so" % (name, version))), None)
    library = "%s/libpython%s.so" % (folder, version)
    if folder is None or not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("%s has no headers or no shared library" % python)
    source, embedding = tmp_path / "embedding.c", tmp_path / "embedding"
    source.write_text(EMBEDDING)
    subprocess.run(["gcc", "-I" + include, "-o", str(embedding), str(source), library, "-Wl,-rpath," + folder], check=True)
    home = subprocess.check_output([python, "-c", "import sys; print(sys.base_prefix)"], universal_newlines=True).strip()
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5", "PYTHONHOME": home}
    with debuggers.start_process([embedding], environment=variables) as process:
        require_keep(process.pid, "embedded.py", 1)
        process.tell()
        assert process.ready() == "ready"
        require_keep(process.pid, "embedded.py", 1)
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


def test_greenlets_switch_stacks():
    python = next((p.path for p in PYTHONS if p.path.startswith("/usr/bin/")), None)
    has = python and subprocess.call([python, "-c", "import greenlet"], stderr=subprocess.DEVNULL) == 0
    if not has:
        pytest.skip("no greenlet (Debian: python3-greenlet)")
    with started(python, "stacks.py") as process:
        require_claims(process.pid, "stacks.py")
