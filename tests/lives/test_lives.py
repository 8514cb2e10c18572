"""Processes that live in unusual ways: the answers about them are exact.

Strategy: the programs/ say beside their lines how many blocks of each are alive when they are ready: "# N x SIZE". The
debugger's rows for the program's files must be the same. Runs with the oldest and the newest CPython here.
"""

import collections
import json
import os
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import looking  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from claims import claims_of  # noqa: E402
from selection import is_newest, light, thorough  # noqa: E402

PYTHONS = pythons.find()
TWO = sorted({PYTHONS[0], PYTHONS[-1]}) if not os.environ.get("PYTHONS") else PYTHONS
each_python = pytest.mark.parametrize(
    "python", [pytest.param(p.path, marks=[] if is_newest(p) else thorough, id=pythons.name(p)) for p in TWO]
)


def program(name):
    return os.path.join(HERE, "programs", name)


def claims(name):
    return claims_of(program(name))


def blocks(pid, pattern):
    """{(line, size): count} of a process's blocks whose newest frame is in a matching file."""
    command = "tm-traces --json --limit 1000000 --include '%s'" % pattern
    answer = json.loads(debuggers.answers("gdb", [command], pid=pid)[0])
    return collections.Counter((trace["traceback"][-1]["lineno"], trace["size"]) for trace in answer["traces"])


def started(python, name, *arguments, **options):
    return debuggers.start_traced_process(python, program(name), arguments, frames=5, preload=True, **options)


def require_claims(pid, name):
    wanted, found = claims(name), blocks(pid, program(name))
    assert wanted and {key: found[key] for key in wanted} == wanted


@each_python
@pytest.mark.parametrize("name", ["threads.py", "signals.py", "coroutines.py", "deep.py", "made.py", "daemons.py"])
def test_what_the_program_says_is_what_the_table_says(python, name):
    with started(python, name) as process:
        require_claims(process.pid, name)
        if name == "made.py":
            assert blocks(process.pid, "made-up.py")[2, 600] == 200


@each_python
def test_the_lines_of_other_interpreters_are_recorded_too(python):
    with started(python, "subinterpreters.py") as process:
        require_claims(process.pid, "subinterpreters.py")
        assert blocks(process.pid, "inside.py")[4, 900] == 90
        assert not [size for _, size in blocks(process.pid, "<string>") if size == 10000]


@pytest.mark.parametrize("python", [p.path for p in PYTHONS], ids=map(pythons.name, PYTHONS))
def test_raw_blocks_of_another_interpreter_are_at_its_lines_or_have_no_known_line(python):
    """Up to 3.11 all interpreters share one lock, so the thread that calls may run either of them."""
    with started(python, "raw_inside.py") as process:
        rows = looking.answer(
            "tm-top lineno -n 100000 --include inside.py --include '*/raw_inside.py'", pid=process.pid
        )
        counts = {
            (row["traceback"][-1]["filename"], row["traceback"][-1]["lineno"]): row["count"]
            for row in rows["statistics"]
        }
    locks = counts.pop(("inside.py", 5))  # an object and a raw block each
    assert locks >= (6000 if version_of(python) >= (3, 12) else 3000)
    assert max(counts.values()) < 100


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
                require_claims(pid, "replaced.py")  # exec: it has its own table, from its beginning
        assert sorted(held) == [(40, 20), (60, 10), (80, 0)]


@each_python
@pytest.mark.parametrize("records", ["", "18000"], ids=["roomy", "collecting"])
def test_a_child_of_children_knows_the_lines_of_all_generations(python, records):
    """With little room for records, those without a block are collected."""
    environment = {"TRACEMORTEM_RECORDS": records} if records else {}
    with started(python, "generations.py", environment=environment) as process:
        pid = int(process.first_line)
        for made in range(4):
            found = blocks(pid, "made-%d.py" % made)
            lines = {line for line, size in found if size == 333}
            # Each generation from this one on has kept the block of every fourth line, beginning with its own number.
            wanted = {number + 1 for later in range(made, 4) for number in range(later, 3000, 4)}
            assert lines == wanted
            assert sum(count for (_, size), count in found.items() if size == 333) == len(wanted)
        assert looking.answer("tm-verify", pid=pid)["verdict"] == "healthy"
        info = looking.answer("tm-info", pid=pid)
        assert info["lost_frames"] == info["shortened"] == 0


@each_python
def test_a_forked_child_touches_no_part_of_the_table_that_it_does_not_need(python):
    with started(python, "many_sites.py") as process:
        traced = int(process.first_line)
    with debuggers.start_process([python, program("many_sites.py")]) as process:
        untraced = int(process.first_line)
    records = 50000 * 64 // 1024
    assert traced - untraced < records / 2


@each_python
def test_a_core_of_the_master_is_the_snapshot_to_compare_a_worker_with(python, tmp_path):
    """It was not taken before the fork, and no worker was asked before."""
    with started(python, "prefork.py") as process:
        pids = [int(process.first_line)] + [int(process.ready()) for _ in range(3)]
        with open(program("prefork.py")) as file:
            lines = {text: n for n, line in enumerate(file, 1) for text in ("data = [", "requests = [") if text in line}
        core = debuggers.gcore(process.pid, tmp_path / "master.core")
        changes = []
        for pid in set(pids) - {process.pid}:
            command = "tm-diff %s --json --include '*/prefork.py' -n 100" % core
            rows = json.loads(debuggers.answers("gdb", [command], pid=pid)[0])["statistics"]
            found = {row["lineno"]: row["count_diff"] for row in rows}
            changes.append((found.get(lines["data = ["], 0), found.get(lines["requests = ["], 0)))
        # The lists have a block or two of their own. The third worker runs another program.
        (_, other), (freed_twice, new_twice), (freed, new) = sorted(changes)
        assert other == 0 and -22 <= freed <= -20 and 10 <= new <= 14
        assert -43 <= freed_twice <= -40 and 20 <= new_twice <= 24


@light(lambda python, way: is_newest(python) and way != "fork")
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
    for _ in range(4):
        run = debuggers.run_preloaded(python, DAEMONS)
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


def configuration(python, *names):
    """Paths and variables of an interpreter's sysconfig; skips if it has no headers."""
    code = "import sys, sysconfig as s; print(s.get_path('include'), *map(s.get_config_var, sys.argv[1:]))"
    include, *values = subprocess.check_output([python, "-c", code] + list(names), universal_newlines=True).split()
    if not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("%s has no headers" % python)
    return [include] + values


@each_python
def test_code_of_c_extensions(python, tmp_path):
    (include,) = configuration(python)
    source, library = os.path.join(HERE, "native_code.c"), str(tmp_path / "native_code.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-I" + include, "-o", library, source, "-lpthread"], check=True)
    with started(python, "native.py", tmp_path) as process:
        size = int(process.first_line)
        require_claims(process.pid, "native.py")
        assert blocks(process.pid, "compiled_in_c.py")[3, 300] == 50
        # The frame that was made for a traceback never ran, so nothing was allocated in it.
        assert not blocks(process.pid, "made_in_c.pyx")
        empty = blocks(process.pid, "empty.pyx")
        assert empty == ({(42, size): 60} if empty or version_of(python) >= (3, 11) else {})


@each_python
def test_a_pool_of_c_threads_never_hangs_while_the_lock_is_held(python, tmp_path):
    """CPython's own tracemalloc does up to 3.12: see tests/stock/test_hung.py."""
    (include,) = configuration(python)
    source, library = os.path.join(HERE, "pool.c"), str(tmp_path / "pool.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-I" + include, "-o", library, source, "-lpthread"], check=True)
    with started(python, "pool.py", tmp_path) as process:
        question = "tm-traces --json --limit 1000 --domain 36740582"
        traces = json.loads(debuggers.answers("gdb", [question], pid=process.pid)[0])["traces"]
        assert [trace["size"] for trace in traces] == [1000] * 400
        process.tell()
        assert process.ready() == "survived"
        process.tell()
        assert process.popen.wait() == 0


def version_of(python):
    return next(p.version for p in PYTHONS if p.path == python)


FREEZERS = [p for p in TWO if p.version >= (3, 11)]  # before, only importlib's modules were frozen


@pytest.mark.parametrize("python", [p.path for p in FREEZERS], ids=map(pythons.name, FREEZERS))
def test_modules_which_are_frozen_into_the_interpreter(python):
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5"}
    command = [python, "-X", "frozen_modules=on", program("frozen.py")]
    with debuggers.start_process(command, environment=variables) as process:
        size, folder = process.first_line.split(" ", 1)
        with open(os.path.join(folder, "posixpath.py")) as file:
            (line,) = [number for number, text in enumerate(file, 1) if "path += sep + b" in text]
        assert blocks(process.pid, "<frozen posixpath>")[line, int(size)] == 45


MAIN = r"""
#include <Python.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void wait_ready(void)
{
    char line[8];
    dprintf(atoi(getenv("TM_READY")), "ready\n");
    if (fgets(line, sizeof line, stdin) == NULL)
        exit(2);
}
"""


def embed(python, folder, source):
    """Build a program that embeds an interpreter. Returns its command line and an environment that traces it."""
    names = ("LIBDIR", "MULTIARCH", "LDVERSION")
    include, libraries, machine, version = configuration(python, *names)
    library = "libpython%s.so" % version
    folders = [libraries, os.path.join(libraries, machine)]
    folders = [name for name in folders if os.path.exists(os.path.join(name, library))]
    if not folders:
        pytest.skip("%s has no shared library" % python)
    text, embedding = folder / "embedding.c", folder / "embedding"
    text.write_text(MAIN + source)
    link = ["-L" + folders[0], "-l:" + library, "-Wl,-rpath," + folders[0]]
    subprocess.run(["gcc", "-I" + include, "-o", str(embedding), str(text)] + link, check=True)
    home = subprocess.check_output(
        [python, "-c", "import sys; print(sys.base_prefix, end='')"], universal_newlines=True
    )
    return [embedding], {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "5", "PYTHONHOME": home}


TWICE = r"""
int main(void)
{
    for (int life = 0; life < 2; life++) {
        Py_Initialize();
        if (PyRun_SimpleString("exec(compile('kept = [bytes(667) for _ in range(33)]', 'embedded.py', 'exec'))") != 0)
            return 1;
        wait_ready();
        if (Py_FinalizeEx() != 0)
            return 3;
    }
    return 0;
}
"""


@each_python
def test_a_program_which_embeds_python_twice_in_its_life(python, tmp_path):
    command, variables = embed(python, tmp_path, TWICE)
    with debuggers.start_process(command, environment=variables) as process:
        require_keep(process.pid, "embedded.py", 1)
        process.tell()
        assert process.ready() == "ready"
        require_keep(process.pid, "embedded.py", 1)
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


WRAPPED = r"""
// Each block has a header of `header` bytes before it. A freed block keeps nothing of its content.
static size_t header;
static PyMemAllocatorEx inner[3];
#define INNER ((PyMemAllocatorEx *)context)
static void *after_header(char *start, size_t size)
{
    if (start == NULL)
        return NULL;
    memcpy(start, &size, sizeof size);
    return start + header;
}
static void *wrapped_malloc(void *context, size_t size)
{
    return after_header(INNER->malloc(INNER->ctx, header + size), size);
}
static void *wrapped_calloc(void *context, size_t count, size_t size)
{
    return after_header(INNER->calloc(INNER->ctx, 1, header + count * size), count * size);
}
static void *wrapped_realloc(void *context, void *block, size_t size)
{
    char *old = block == NULL ? NULL : (char *)block - header;
    return after_header(INNER->realloc(INNER->ctx, old, header + size), size);
}
static void wrapped_free(void *context, void *block)
{
    if (block == NULL)
        return;
    char *start = (char *)block - header;
    size_t size;
    memcpy(&size, start, sizeof size);
    memset(block, 0xdd, size);
    INNER->free(INNER->ctx, start);
}
int main(int argc, char **argv)
{
    header = (size_t)atoi(argv[2]);
    for (int domain = 0; domain < 3 && header != 0; domain++) {
        PyMem_GetAllocator(domain, &inner[domain]);
        PyMemAllocatorEx wrapped = {&inner[domain], wrapped_malloc, wrapped_calloc, wrapped_realloc, wrapped_free};
        PyMem_SetAllocator(domain, &wrapped);
    }
    if (header == 0)
        PyMem_SetupDebugHooks();
    Py_Initialize();
    FILE *file = fopen(argv[1], "r");
    return file == NULL || PyRun_SimpleFile(file, "wrapped.py") != 0;
}
"""


@each_python
def test_allocators_on_top_of_the_tracer_with_headers_of_their_own(python, tmp_path):
    """CPython's own debug hooks (0) are one of them. The tracer sees where a block begins, not its object."""
    command, variables = embed(python, tmp_path, WRAPPED)
    for header in ("0", "8", "160"):
        with debuggers.start_process(command + [program("wrapped.py"), header], environment=variables) as process:
            assert (header, process.first_line) == (header, "0 0 0")
            debuggers.answers("gdb", ["tm-verify --strict"], pid=process.pid)


FREEZING = r"""
static const unsigned char held[] = {BYTES};
int main(void)
{
    // Up to 3.10 these are all the frozen modules; from 3.11 on they are added to the interpreter's own.
    int count = 0;
    while (PyImport_FrozenModules != NULL && PyImport_FrozenModules[count].name != NULL)
        count++;
    struct _frozen *modules = calloc(count + 2, sizeof *modules);
    if (count != 0)
        memcpy(modules, PyImport_FrozenModules, count * sizeof *modules);
    modules[count].name = "held";
    modules[count].code = held;
    modules[count].size = sizeof held;
    PyImport_FrozenModules = modules;
    Py_Initialize();
    if (PyRun_SimpleString("import held") != 0)
        return 1;
    wait_ready();
    return 0;
}
"""
HELD = "def hold():\n    return [bytes(667) for _ in range(33)]\n\n\nkept = hold()\n"


@each_python
def test_a_module_which_a_program_has_frozen_into_itself(python, tmp_path):
    freeze = "import marshal, sys; print(*marshal.dumps(compile(sys.argv[1], '<frozen held>', 'exec')), sep=',')"
    frozen = subprocess.check_output([python, "-c", freeze, HELD], universal_newlines=True)
    command, variables = embed(python, tmp_path, FREEZING.replace("BYTES", frozen))
    with debuggers.start_process(command, environment=variables) as process:
        require_keep(process.pid, "<frozen held>", 2)


LONG_NAMES = """if 1:
    import tracemalloc
    def named(name):
        space = {}
        exec(compile("kept = bytearray(1000)", name, "exec"), space)
        return tracemalloc.get_object_traceback(space["kept"])[-1].filename
    names = ["n" * 4096, "n" * 5000 + "a", "n" * 5000 + "b", "n" * 5001 + "a"]
    told = [named(name) for name in names]
    print(told[0] == names[0], len(set(told)), {name[:4096] == names[0] for name in told}, max(map(len, told)) < 4160)
"""


@each_python
def test_file_names_too_long_to_be_kept_are_still_told_apart(python):
    run = debuggers.run_preloaded(python, LONG_NAMES)
    assert (run.returncode, run.stdout) == (0, b"True 4 {True} True\n")


def test_greenlets_switch_stacks():
    python = next((p.path for p in PYTHONS if p.path.startswith("/usr/bin/")), None)
    has = python and subprocess.call([python, "-c", "import greenlet"], stderr=subprocess.DEVNULL) == 0
    if not has:
        pytest.skip("no greenlet (Debian: python3-greenlet)")
    with started(python, "stacks.py") as process:
        require_claims(process.pid, "stacks.py")


# Births are objects that CPython creates from a free list. If the tracer does not hear of them, tm-info says so. It
# hears of them in one way in 3.8, in another up to 3.12, and in a third since. Up to 3.11 a second interpreter has no
# stock tracer.
LATEST = {p.version[:2]: p for p in PYTHONS}
WAYS = [LATEST[version] for version in ((3, 8), (3, 11), (3, 12), (3, 13)) if version in LATEST]
each_way = pytest.mark.parametrize("python", [p.path for p in WAYS], ids=map(pythons.name, WAYS))
RUN_BIRTHS = "exec(compile(open('%s').read(), '%s', 'exec'))" % ((program("births.py"),) * 2)


def births(pid):
    """Whether tm-info says that births are exact, and whether they are."""
    commands = ["tm-info --json", "tm-traces --json --limit 1000000 --include '%s'" % program("births.py")]
    info, answer = map(json.loads, debuggers.answers("gdb", commands, pid=pid))
    found = collections.Counter((trace["traceback"][-1]["lineno"], trace["size"]) for trace in answer["traces"])
    (((line, size), count),) = claims("births.py").items()
    return info["reuse_exact"], found[line, size] == count


# The program notices writes into memory that it has freed.
TWO_LIVES = r"""
#include <malloc.h>
#include <string.h>
extern void __libc_free(void *block);
static unsigned char *kept[1 << 16];
static size_t count;
static int keeping;
void free(void *block)
{
    size_t size = block == NULL ? 0 : malloc_usable_size(block);
    if (!keeping || size < 64 || size > 96 || count == sizeof kept / sizeof *kept) {
        __libc_free(block);
        return;
    }
    memset(block, 0xdd, size);
    kept[count++] = block;
}
static int live(const char *code)
{
    return PyRun_SimpleString(code) == 0;
}
int main(int argc, char **argv)
{
    Py_Initialize();
    if (!live(argv[1]))
        return 1;
    wait_ready();
    keeping = 1;
    if (Py_FinalizeEx() != 0)
        return 3;
    keeping = 0;
    Py_Initialize();
    if (!live(argv[1]))
        return 1;
    wait_ready();
    if (!live("import tracemalloc; tracemalloc.stop()"))
        return 1;
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < malloc_usable_size(kept[i]); n++)
            if (kept[i][n] != 0xdd)
                return 4;
    return count > 0 && Py_FinalizeEx() == 0 ? 0 : 3;
}
"""


@each_way
def test_births_in_the_second_of_two_interpreters_and_the_first_ones_memory_is_left_alone(python, tmp_path):
    command, variables = embed(python, tmp_path, TWO_LIVES)
    with debuggers.start_process(command + [RUN_BIRTHS], environment=variables) as process:
        assert births(process.pid) == (True, True)
        process.tell()
        assert process.ready() == "ready"
        # Up to 3.11 the stock tracer, through which we hear of births, does not start again.
        exact = version_of(python) >= (3, 12)
        assert births(process.pid) == (exact, exact)
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


BESIDE = """
import ctypes, os, sys, tracemalloc, tracemortem
def wait(word=b"ready\\n"):
    os.write(int(os.environ["TM_READY"]), word)
    sys.stdin.readline()
def place_is_taken():
    if sys.version_info < (3, 13):
        return False
    ctypes.pythonapi.PyRefTracer_GetTracer.restype = ctypes.c_void_p
    return ctypes.pythonapi.PyRefTracer_GetTracer(None) is not None
tracemortem.start(5)
%(births)s; wait()
tracemalloc.start(); tracemalloc.stop()
%(births)s; wait()
tracemalloc.start(3)  # now it really does
%(births)s
(line,) = {tracemalloc.get_object_traceback(number)[-1].lineno for number in kept}
assert open(%(name)r).read().splitlines()[line - 1].endswith("# 90 x 24")
assert len(tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, %(name)r)]).traces) >= 90
wait()
tracemalloc.stop()
taken = place_is_taken()
tracemortem.clear_traces()
%(births)s; wait(b"taken\\n" if taken else b"ready\\n")
tracemortem.stop()
"""


@each_way
def test_a_program_can_use_the_stock_tracer_beside_us_and_tm_info_says_what_that_costs(python, tmp_path):
    script = tmp_path / "beside.py"
    script.write_text(BESIDE % {"births": RUN_BIRTHS, "name": program("births.py")})
    with debuggers.start_process([python, script], environment={"PYTHONPATH": debuggers.PACKAGE_PATH}) as process:
        assert births(process.pid) == (True, True)
        for _ in range(2):
            process.tell()
            assert process.ready() == "ready"
            assert births(process.pid)[0] is False
        process.tell()
        exact = process.ready() == "ready"
        assert births(process.pid) == (exact, exact)
        assert exact or version_of(python)[:2] == (3, 13)  # its first releases keep the place that they took
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


INSIDE = """import os, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
READY = "import os; os.write(%%s, b'ready' + bytes([10])); os.read(0, 1)" %% os.environ["TM_READY"]
interpreters.run_string(interpreters.create(), %r + "; " + READY)
"""


@each_way
def test_births_in_another_interpreter(python, tmp_path):
    script = tmp_path / "inside.py"
    script.write_text(INSIDE % RUN_BIRTHS)
    with debuggers.start_traced_process(python, script, frames=5, preload=True) as process:
        assert births(process.pid) == (True, True)


# An allocator that puts HEADER bytes before each block. CPython's blocks are at multiples of 16.
WITH_HEADERS = r"""
static PyMemAllocatorEx inner[3];
#define INNER ((PyMemAllocatorEx *)context)
static void *behind(void *block)
{
    return block == NULL ? NULL : (char *)block + HEADER;
}
static void *header_malloc(void *context, size_t size)
{
    return behind(INNER->malloc(INNER->ctx, size + HEADER));
}
static void *header_calloc(void *context, size_t count, size_t size)
{
    return behind(INNER->calloc(INNER->ctx, 1, count * size + HEADER));
}
static void *header_realloc(void *context, void *block, size_t size)
{
    return behind(INNER->realloc(INNER->ctx, block == NULL ? NULL : (char *)block - HEADER, size + HEADER));
}
static void header_free(void *context, void *block)
{
    INNER->free(INNER->ctx, block == NULL ? NULL : (char *)block - HEADER);
}
int main(int argc, char **argv)
{
    for (int domain = 0; domain < 3; domain++) {
        PyMem_GetAllocator(domain, &inner[domain]);
        PyMemAllocatorEx with = {&inner[domain], header_malloc, header_calloc, header_realloc, header_free};
        PyMem_SetAllocator(domain, &with);
    }
    Py_Initialize();
    if (PyRun_SimpleString(argv[1]) != 0)
        return 1;
    wait_ready();
    return 0;
}
"""


@each_python
def test_births_in_blocks_at_no_multiple_of_16(python, tmp_path):
    command, variables = embed(python, tmp_path, "#define HEADER 8\n" + WITH_HEADERS)
    variables = {"PYTHONHOME": variables["PYTHONHOME"], "PYTHONPATH": debuggers.PACKAGE_PATH}
    command.append("import tracemortem; tracemortem.start(5)\n" + RUN_BIRTHS)
    with debuggers.start_process(command, environment=variables) as process:
        assert births(process.pid) == (True, True)


@each_python
def test_tm_info_says_that_long_headers_hide_births(python, tmp_path):
    command, variables = embed(python, tmp_path, "#define HEADER 64\n" + WITH_HEADERS)
    with debuggers.start_process(command + [RUN_BIRTHS], environment=variables) as process:
        assert births(process.pid)[0] is False
