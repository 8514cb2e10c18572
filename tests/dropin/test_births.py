"""Up to CPython 3.12 births come by a jump in CPython's code, or, where code may not be changed, by its table of traces
without the table's lock (from 3.11 on) or with it. Each way is forced here. The answers are stock tracemalloc's in all of them, the program
computes the same, and when tracing stops the interpreter's code is that of its file again.
"""

import os
import platform
import re
import subprocess

import debuggers
import looking
import pytest
import pythons
import sandbox
import scripts
from selection import is_one_of_its_version, is_systems, light, thorough
from test_cpython_suite import SUITE, has_the_test
from test_like_stock import blocks, compare

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere births come by the table")

DEBUG = [python.path for python in pythons.find_debug()]
PYTHONS = [python for python in pythons.find() + pythons.find_debug() if python.version < (3, 13)]
each_python = pytest.mark.parametrize("python", PYTHONS, ids=list(map(pythons.name, PYTHONS)))

# {name: (how births come, the sandbox that forces it, variables)}
WAYS = {
    "granted": ("entry", None, {}),
    "no-writable-code": ("slots", "mdwe", {}),
    "code-is-sealed": ("slots", "code", {}),
    "unchanged": ("table", None, {"TRACEMORTEM_REUSE": "2"}),
}
each_way = pytest.mark.parametrize("way", list(WAYS))


def forced(way, folder):
    """(how births come, words before a command, variables)"""
    by, kind, variables = WAYS[way]
    return by, sandbox.words(folder, kind) if kind else [], variables


def expected(by, python):
    if by == "entry" and python.path in DEBUG:
        by = "slots"  # a debug build's function begins with a call, and our jump is not put over one
    # Only from 3.11 on the lock is so dear that it is worth the trouble to leave it out.
    return "table" if by == "slots" and python.version < (3, 11) else by


# ---------------------------------------------------------------------------------------------------------------------
# Exact in each way

REBORN = """
import os, sys
def make():
    return [i + 0.5 for i in range(200)]
make()
kept = [i + 0.25 for i in range(90)]
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""


def how_births_come(pid):
    info = looking.answer("tm-info", pid=pid)
    assert info["reuse_exact"]
    return info["reuse_by"]


def count_of_line(pid, script, line):
    rows = looking.answer("tm-top lineno --include %s:%d" % (script, line), pid=pid)["statistics"]
    return sum(row["count"] for row in rows)


@light(lambda python, way: is_one_of_its_version(python) and way != "code-is-sealed")
@each_way
@each_python
def test_tm_info_says_which_way_and_births_are_exact(python, way, tmp_path):
    by, before, variables = forced(way, tmp_path)
    script = tmp_path / "reborn.py"
    script.write_text(REBORN)
    variables = dict(variables, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="1")
    with debuggers.start_process(before + [python.path, script], environment=variables) as process:
        assert how_births_come(process.pid) == expected(by, python)
        floats_and_list = count_of_line(process.pid, script, 6)
        assert 91 <= floats_and_list <= 95  # 90 floats, a list, and what the comprehension itself leaves


@light(lambda python, way, frames: is_one_of_its_version(python) and way == "no-writable-code" and frames == 1)
@pytest.mark.parametrize("frames", [1, 25])
@each_way
@each_python
def test_each_line_has_the_same_size_and_count(python, way, frames, tmp_path):
    by, before, variables = forced(way, tmp_path)
    if by == "entry" and python.path not in DEBUG:
        pytest.skip("test_like_stock.py has it")
    stock = blocks(python, frames, frames=frames)
    compare(
        blocks(python, frames, frames=frames, way="preloaded", before=before, TRACEMORTEM_DETAIL="full", **variables),
        stock,
    )


@thorough
@each_way
@each_python
def test_cpythons_own_tests_pass(python, way, tmp_path):
    by, before, variables = forced(way, tmp_path)
    if not has_the_test(python.path):
        pytest.skip("%s comes without test.test_tracemalloc" % python.path)
    run = scripts.run_code(python.path, SUITE, way="preloaded", before=before, check=False, **variables)
    assert run.status == 0, run.stderr


# ---------------------------------------------------------------------------------------------------------------------
# The interpreter's code

# changed(): how many bytes of the interpreter's code differ from its file.
CHANGED = r"""
import os, re, sys, tracemortem
def changed():
    count = 0
    with open("/proc/self/mem", "rb", 0) as memory, open("/proc/self/maps") as maps:
        for line in maps.read().splitlines():
            found = re.match(r"(\w+)-(\w+) r-xp (\w+) \S+ \S+ +(/.*/(?:lib)?python3[^/]*)$", line)
            if found:
                start, end, offset = (int(word, 16) for word in found.groups()[:3])
                memory.seek(start)
                now = memory.read(end - start)
                with open(found.group(4), "rb") as file:
                    file.seek(offset)
                    then = file.read(end - start)
                for at in range(0, len(then), 4096):
                    if now[at:at + 4096] != then[at:at + 4096]:
                        count += sum(a != b for a, b in zip(now[at:at + 4096], then[at:at + 4096]))
    return count
def writable():
    with open("/proc/self/maps") as maps:
        return [line for line in maps if re.match(r"\w+-\w+ .wx", line)]
def births(module):
    # Floats in blocks of other floats have the line that created them.
    drain = [i + 0.5 for i in range(300)]  # first come blocks that are older than tracing
    make = lambda: [i + 0.5 for i in range(50)]
    make()
    again = [i + 0.25 for i in range(50)]; line = sys._getframe().f_lineno
    assert {module.get_object_traceback(number)[-1].lineno for number in again} == {line}
def work():
    return sum([i * 0.5 for i in range(5000)]) + sum(len([i, (i, i), {i: [i]}]) for i in range(2000))
"""

CYCLES = """
assert changed() == 0
result = work()
for cycle in range(20):
    tracemortem.start(1 + cycle % 3)
    assert 0 < changed() <= 6, changed()
    assert work() == result and not writable()
    births(tracemortem)
    if cycle % 2:
        tracemortem.clear_traces()
    tracemortem.stop()
    assert changed() == 0 and work() == result
print(changed(), writable())
"""


@each_python
def test_a_stop_leaves_the_code_of_the_file_however_often(python):
    if python.path in DEBUG:
        pytest.skip("a debug build's code is not changed")
    run = scripts.run_code(python.path, CHANGED + CYCLES, way="imported", frames=0)
    assert run.stdout == "0 []\n"


BESIDE = """
import tracemalloc
tracemortem.start(3)
assert 0 < changed() <= 6 if CODE_CHANGES else changed() == 0
births(tracemortem)
tracemalloc.stop()
tracemalloc.start(2)  # CPython's own
births(tracemalloc)
tracemalloc.stop()
tracemortem.stop()
print(changed(), work())
"""


@light(lambda python, way: is_one_of_its_version(python) and way == "granted")
@each_way
@each_python
def test_the_programs_own_use_of_the_stock_tracer_is_exact(python, way, tmp_path):
    by, before, variables = forced(way, tmp_path)
    code = CHANGED + "CODE_CHANGES = %r\n" % (expected(by, python) == "entry") + BESIDE
    environment = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH, **variables)
    command = before + [python.path, "-c", code]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=debuggers.PATIENCE, check=True)
    assert run.stdout == b"0 6254750.0\n"


# ---------------------------------------------------------------------------------------------------------------------
# Threads, forks, interpreters

THREADS = """
import threading, time
end, done = False, []
def churn():
    count = 0
    while not end:
        assert work() == result
        count += 1
    done.append(count)
result = work()
threads = [threading.Thread(target=churn) for _ in range(4)]
for thread in threads:
    thread.start()
for cycle in range(30):
    tracemortem.start(2)
    work(); time.sleep(0.001); open(os.devnull).close()
    tracemortem.stop()
tracemortem.start(1)
child = os.fork()
if child == 0:
    assert work() == result
    tracemortem.stop()
    assert changed() == 0 and work() == result
    tracemortem.start(1)
    assert work() == result
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
end = True
for thread in threads:
    thread.join()
assert len(done) == 4
tracemortem.stop()
print(changed())
"""


@light(lambda python, way: is_one_of_its_version(python) and way == "granted")
@each_way
@each_python
def test_threads_create_objects_while_tracing_starts_and_stops_and_a_child_stops_for_itself(python, way, tmp_path):
    _, before, variables = forced(way, tmp_path)
    environment = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH, **variables)
    command = before + [python.path, "-c", CHANGED + THREADS]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=debuggers.PATIENCE, check=True)
    assert run.stdout == b"0\n"


# An interpreter with a lock of its own runs meanwhile, so nothing may be written into code that it executes.
OWN_LOCK = """
import _xxsubinterpreters as interpreters, threading
INSIDE = '''if 1:
    import os
    os.write(%d, b".")
    while not os.path.exists(%r):
        kept = [i * 0.5 for i in range(500)], {}, [], (1, os)
'''
begun, begin = os.pipe()
path = sys.argv[1]
def run():
    other = interpreters.create(isolated=True)
    interpreters.run_string(other, INSIDE % (begin, path))
    interpreters.destroy(other)
result = work()
for _ in range(3):
    thread = threading.Thread(target=run)
    tracemortem.start(1)
    assert 0 < changed() <= 6
    thread.start()
    os.read(begun, 1)
    tracemortem.stop()       # the jump stays
    assert 0 < changed() <= 6 and work() == result
    tracemortem.start(1)
    assert 0 < changed() <= 6 and work() == result
    open(path, "w").close()
    thread.join()
    os.unlink(path)
    tracemortem.stop()
    assert changed() == 0 and work() == result
    # Begun while the other interpreter runs, tracing leaves the code alone.
    thread = threading.Thread(target=run)
    thread.start()
    os.read(begun, 1)
    tracemortem.start(1)
    assert changed() == 0 and work() == result
    open(path, "w").close()
    thread.join()
    os.unlink(path)
    tracemortem.stop()
print(changed())
"""


def test_code_is_not_changed_while_an_interpreter_with_a_lock_of_its_own_may_run_it(tmp_path):
    found = [python for python in PYTHONS if python.version[:2] == (3, 12) and python.path not in DEBUG]
    if not found:
        pytest.skip("no CPython 3.12 here")
    environment = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH)
    command = [found[-1].path, "-c", CHANGED + OWN_LOCK, str(tmp_path / "end")]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=debuggers.PATIENCE, check=True)
    assert run.stdout == b"0\n"


# ---------------------------------------------------------------------------------------------------------------------
# Nothing may be changed

# Refuses every mprotect() from then on, as a filter of the program's own.
SEALED = """
import ctypes, struct
tracemortem.is_tracing()  # loads it
libc = ctypes.CDLL(None)
program = struct.pack("<" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 10, 6, 0, 0, 0x50001, 6, 0, 0, 0x7FFF0000)
code = ctypes.create_string_buffer(program, len(program))
whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)), 16)
def seal():
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, whole) == 0
"""
SEALED_FIRST = """
seal()
tracemortem.start(3)
assert changed() == 0 and work() > 0
births(tracemortem)
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
tracemortem.stop()
"""
SEALED_LATER = """
import tracemalloc
result = work()
tracemortem.start(3)
assert 0 < changed() <= 6
seal()
tracemortem.stop()
assert 0 < changed() <= 6 and work() == result  # harmless: nobody calls the function now
tracemalloc.start()
assert work() == result
tracemalloc.stop()
tracemortem.start(3)
births(tracemortem)
print(work() == result)
"""


def bound_at_once(python, folder):
    """A folder with the CPython's library, linked so that all its slots are read-only (-z relro -z now)."""
    version = "%d.%d" % python.version[:2]
    home = os.path.dirname(os.path.dirname(python.path))
    where = subprocess.check_output([python.path, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBPL'))"])
    archive = os.path.join(where.decode().strip(), "libpython%s.a" % version)
    if not os.path.exists(os.path.join(home, "lib", "libpython%s.so.1.0" % version)) or not os.path.exists(archive):
        pytest.skip("%s has no library in both forms" % python.path)
    library = str(folder / ("libpython%s.so.1.0" % version))
    link = ["gcc", "-shared", "-Wl,-soname," + os.path.basename(library), "-Wl,-z,relro,-z,now", "-o", library]
    libraries = ["-lcrypt", "-lpthread", "-ldl", "-lutil", "-lm"]
    subprocess.run(link + ["-Wl,--whole-archive", archive, "-Wl,--no-whole-archive"] + libraries, check=True)
    return str(folder)


@light(lambda python: is_one_of_its_version(python) and python.version[:2] in ((3, 8), (3, 12)))
@each_python
def test_with_read_only_slots_and_no_mprotect_births_come_by_the_table_as_it_is(python, tmp_path):
    variables = {"PYTHONPATH": debuggers.PACKAGE_PATH, "LD_LIBRARY_PATH": bound_at_once(python, tmp_path)}
    command = [python.path, "-c", CHANGED + SEALED + SEALED_FIRST]
    with debuggers.start_process(command, environment=variables) as process:
        assert how_births_come(process.pid) == "table"
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0, process.stderr()
    # With mprotect() both the code and the slots can be changed there.
    for way in ("granted", "no-writable-code"):
        by, before, _ = forced(way, tmp_path)
        command = before + [
            python.path,
            "-c",
            CHANGED + SEALED_FIRST.replace("seal()\n", "").replace("changed() == 0", "1"),
        ]
        with debuggers.start_process(command, environment=variables) as process:
            assert how_births_come(process.pid) == expected(by, python)


@each_python
def test_where_mprotect_fails_later_the_jump_stays_and_nothing_goes_wrong(python):
    if python.path in DEBUG:
        pytest.skip("a debug build's code is not changed")
    run = scripts.run_code(python.path, CHANGED + SEALED + SEALED_LATER, way="imported", frames=0)
    assert run.stdout == "True\n"


# ---------------------------------------------------------------------------------------------------------------------
# Breakpoints

BROKEN = """
for _ in range(2):
    os.getloadavg()  # gdb stops here
    tracemortem.start(3)
    births(tracemortem)
    os.getloadavg()
    births(tracemortem)
    os.getloadavg()
    tracemortem.stop()
    os.getloadavg()
print("differs:", changed())
"""


def gdb(python, commands):
    words = ["gdb", "-nx", "-batch"]
    for command in ["set breakpoint pending on", "break getloadavg"] + commands:
        words += ["-ex", command]
    words += ["--args", python.path, "-c", CHANGED + BROKEN]
    environment = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH)
    return subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=debuggers.PATIENCE
    ).stdout.decode()


def symbols_of(python):
    if is_systems(python) and python.path not in DEBUG:
        pytest.skip("without symbols nobody sets a breakpoint there")


@thorough
@pytest.mark.parametrize("place", ["*_PyTraceMalloc_NewReference", "_PyTraceMalloc_NewReference"])
@each_python
def test_a_breakpoint_in_the_function_stays_whole_and_so_does_the_program(python, place):
    """Its own byte is all that differs then. Tracing begins with it, or it comes at the jump, and stays beyond a stop."""
    symbols_of(python)
    before = gdb(python, ["run", "break " + place, "ignore 2 1000000"] + ["continue"] * 8)
    assert "exited normally" in before and "differs: 1" in before, before
    if place.startswith("*"):
        meanwhile = [
            "run",
            "continue",
            "break " + place,
            "ignore 2 1000000",
            "continue",
            "continue",
            "info breakpoints",
        ]
        meanwhile = gdb(python, meanwhile + ["delete 2"] + ["continue"] * 5)
        assert "exited normally" in meanwhile and "differs: 0" in meanwhile, meanwhile
        assert re.search(r"breakpoint already hit \d{3,} times", meanwhile), meanwhile
