"""tm-memory's rows add up to what the kernel counts, and are what the program made: blocks of C, free memory, mappings.

Strategy: each program of programs/ makes memory of one kind, of known size where it can, and waits. The process is asked
without a debugger, the kernel says what is resident, and a core of the same process must say the same but for pages that are
all zero. What glibc says of its heaps (mallinfo2) is compared with the walker.
"""

import json
import os
import re
import subprocess

import debuggers
import looking
import pytest
import pythons
from selection import is_newest, light, thorough

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = "/usr/bin/python3"
MIB = 1 << 20
COUNTS = ("size", "shared", "untraced_blocks", "free_blocks")  # of a row, what is not a part of it
# Of each program what its greatest row beside what is traced is, and the module that it needs.
PROGRAMS = {
    "trees": ("heaps", "lxml"),
    "pictures": ("large_blocks", "PIL"),
    "connections": ("heaps", "ssl"),
    "databases": ("heaps", "sqlite3"),
    "frames": ("pymalloc", "pandas"),
    "blocks": ("large_blocks", "ctypes"),
    "mappings": ("shared_memory", "mmap"),
    "arrays": ("data", "numpy"),
    "sparse": ("pymalloc", "builtins"),
}


def program(name):
    return os.path.join(HERE, "programs", name + ".py")


with open(program("sparse")) as sparse:
    LINE = next(number for number, line in enumerate(sparse, 1) if "bytes(400)" in line)


def rss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as file:
        return int(re.search(r"^Rss:\s+(\d+) kB$", file.read(), re.MULTILINE).group(1)) << 10


def start(python, name, **options):
    return debuggers.start_traced_process(python, program(name), frames=5, preload=True, **options)


def has(module):
    return subprocess.run([SYSTEM, "-c", "import " + module], stderr=subprocess.DEVNULL).returncode == 0


def check_sum(account):
    """The rows and what is not accounted for are exactly the whole, and parts are their rows."""
    rows = account["rows"]
    assert sum(row["size"] for row in rows.values()) + account["not_accounted"] == account["size"]
    for name in ("traced", "pymalloc", "heaps", "large_blocks"):
        parts = {key: size for key, size in rows[name].items() if key not in COUNTS}
        assert sum(parts.values()) == rows[name]["size"], name
    assert sum(domain["resident"] for domain in account["domains"]) == rows["traced"]["size"]


@thorough
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_account_adds_up_to_what_the_kernel_counts(name, tmp_path):
    greatest, module = PROGRAMS[name]
    if not has(module):
        pytest.skip("%s has no module %s" % (SYSTEM, module))
    with start(SYSTEM, name) as process:
        before = rss(process.pid)
        account = looking.answer("tm-memory", pid=process.pid)
        assert account["residency"] == "rss" and account["is_traced"] and not account["damaged_heaps"]
        assert before <= account["size"] <= rss(process.pid)
        check_sum(account)
        unknown = account["not_accounted"] + account["rows"]["other"]["size"]
        assert unknown <= account["size"] // 50, account
        rows = {key: row["size"] for key, row in account["rows"].items() if key not in ("traced", "files", "tracer")}
        assert max(rows, key=rows.get) == greatest
        check_core(debuggers.gcore(process.pid, tmp_path / "core"), account)


def check_core(core, live):
    """The same of a core, where only what is not zero counts: a part of it, and hardly less."""
    account = looking.answer("tm-memory", core=core)
    assert account["residency"] == "nonzero" and not account["damaged_heaps"]
    check_sum(account)
    assert account["not_accounted"] == 0 and account["rows"]["other"]["size"] <= account["size"] // 50
    for name, row in live["rows"].items():
        found = account["rows"][name]["size"]
        if name not in ("files", "data", "other"):  # gcore itself makes pages of files resident
            assert found <= row["size"] + 8192, name
    for name in ("pymalloc", "heaps", "shared_memory"):
        assert account["rows"][name]["size"] >= 0.7 * live["rows"][name]["size"] - 65536, name
    same = ("arenas", "heaps", "caches", "pools_used")
    assert {key: account[key] for key in same} == {key: live[key] for key in same}


@light(lambda any_python: is_newest(any_python))
def test_blocks_of_c_and_free_memory_are_told_apart(any_python, tmp_path):
    with start(any_python, "blocks") as process:
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        heaps, large = account["rows"]["heaps"], account["rows"]["large_blocks"]
        assert account["heaps"] == 2 and account["caches"] >= 2 and account["damaged_heaps"] == 0
        # 20000 of 200 bytes, 18000 of 300, and what CPython itself has.
        assert 38000 <= heaps["untraced_blocks"] <= 38000 + 1000
        assert 0 <= heaps["untraced"] - (20000 * 208 + 18000 * 304) <= MIB
        # 10000 of 200 bytes and 2000 of 300 are free again.
        assert abs(heaps["free"] + heaps["cached"] - (10000 * 208 + 2000 * 304)) <= MIB
        assert 40 <= large["untraced_blocks"] <= 44 and 40 * MIB <= large["untraced"] <= 41 * MIB
        said = dict(re.findall(r"(\w+)=(\d+)", process.first_line))
        if said:
            compare_with_glibc(account, {key: int(value) for key, value in said.items()})


def compare_with_glibc(account, said):
    """mallinfo2() counts what is cached as in use; and what is free whether it is resident or not."""
    rows = account["rows"]
    assert said["ordblks"] == rows["heaps"]["free_blocks"] + account["heaps"]  # and the free end of each
    free = rows["heaps"]["free"] + rows["heaps"]["top"]
    assert 0 <= said["fordblks"] - free <= 2 * 135168  # of the free end a part was never touched
    assert said["hblks"] >= rows["large_blocks"]["untraced_blocks"]
    mapped = rows["large_blocks"]["size"] + rows["traced"]["large_blocks"]
    assert said["hblkhd"] - 64 * 4096 <= mapped + 16384 * 8 <= said["hblkhd"] + 128 * 4096


@light(lambda any_python: is_newest(any_python))
def test_the_lines_that_keep_free_pools_are_named(any_python):
    if pythons.is_free_threaded(any_python):
        pytest.skip("it has no pymalloc")
    with start(any_python, "sparse") as process, looking.standing_still(process.pid):
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        free = account["rows"]["pymalloc"]["free"] + account["rows"]["pymalloc"]["free_pools"]
        assert free > 35 * MIB
        pools = looking.answer("tm-memory pools -n 1", pid=process.pid)
        (row,) = pools["statistics"]
        assert (row["filename"], row["lineno"]) == (program("sparse"), LINE) and 1000 <= row["count"] < 1010
        assert row["size"] > 0.9 * free and row["own_size"] < 2 * 433 * row["count"]
        assert pools["free"] + pools["unused"] == free
        kept = looking.answer("tm-memory pools -n 100000", pid=process.pid)
        total = sum(row["size"] for row in kept["statistics"]) + kept["kept_by_untraced"] + kept["kept_by_nothing"]
        assert abs(total - free) <= len(kept["statistics"]) + 1  # each row is rounded
        sizes = {each["block_size"]: each for each in pools["sizes"]}
        largest = max(pools["sizes"], key=lambda each: each["free"])
        assert largest["block_size"] in (432, 448) and largest["used"] < largest["room"] // 5
        assert sum(each["pools"] for each in sizes.values()) == pools["pools"]


@thorough
def test_numpys_data_counts_once_and_only_where_it_is_resident(tmp_path):
    if not has("numpy"):
        pytest.skip("no numpy")
    with start(SYSTEM, "arrays") as process:
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        domains = {each["domain"]: each for each in account["domains"]}
        numpy = domains[389047]
        # 32 MiB in use, 64 of which 8 are, and 2000 small ones; numpy does not own a view of Python's memory.
        made = 32 * MIB + 8 * MIB + 2000 * 8000
        assert abs(numpy["size"] - (made + 56 * MIB)) < MIB and abs(numpy["resident"] - made) < MIB
        assert domains[0]["resident"] < 24 * MIB


CHILD = """import os, sys
items = [bytes(400) for _ in range(50000)]
read, write = os.pipe()
if os.fork() == 0:
    mine = [bytes(400) for _ in range(30000)]
    os.write(int(os.environ["TM_READY"]), b"ready %d\\n" % os.getpid())
    os.read(read, 1)
    os._exit(0)
os.close(read)
sys.stdin.readline()
os.close(write)
os.wait()
"""


def test_what_a_worker_shares_with_its_master_is_shown(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(CHILD)
    with debuggers.start_traced_process(SYSTEM, str(script), frames=2, preload=True) as process:
        worker = int(process.first_line.split()[-1])
        account = looking.answer("tm-memory", pid=worker)
        check_sum(account)
        traced = account["rows"]["traced"]
        with open("/proc/%d/smaps_rollup" % worker) as file:
            shared = int(re.search(r"Shared_Dirty:\s+(\d+) kB", file.read()).group(1)) << 10
        told = sum(row["shared"] for row in account["rows"].values())
        assert abs(told - shared) <= MIB
        # What the master made before is shared, and what the worker made is not.
        assert 0.8 * 50000 * 433 <= traced["shared"] <= traced["size"] - 0.9 * 30000 * 433


def test_an_untraced_process_has_an_account_too(tmp_path):
    with debuggers.start_process([SYSTEM, program("blocks")]) as process:
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        assert not account["is_traced"] and account["domains"] == [] and account["rows"]["traced"]["size"] == 0
        assert 38000 <= account["rows"]["heaps"]["untraced_blocks"] and account["arenas"] > 0
        assert account["rows"]["large_blocks"]["untraced"] >= 40 * MIB
        core = debuggers.gcore(process.pid, tmp_path / "core")
        text = debuggers.answers("gdb", ["tm-memory"], core=core)[0]
        assert "nothing is traced: " in text and "large blocks of C: 4" in text


@thorough
def test_stock_tracemalloc_has_an_account_too(tmp_path):
    with debuggers.start_process([SYSTEM, "-X", "tracemalloc=5", program("sparse")]) as process:
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        assert account["is_traced"] and account["rows"]["pymalloc"]["size"] > 35 * MIB
        row = looking.answer("tm-memory pools -n 1", pid=process.pid)["statistics"][0]
        assert (row["filename"], row["lineno"]) == (program("sparse"), LINE)


@thorough
@pytest.mark.parametrize("library", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"])
def test_other_allocators_are_shown_as_a_whole(library):
    folder = "/usr/lib/%s-linux-gnu" % os.uname().machine
    paths = [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(library)]
    if not paths:
        pytest.skip("no %s here" % library)
    preload = "%s %s" % (paths[0], debuggers.TRACER)
    command = [SYSTEM, program("blocks")]
    with debuggers.start_process(command, environment={"LD_PRELOAD": preload, "TRACEMORTEM": "1"}) as process:
        account = looking.answer("tm-memory", pid=process.pid)
        check_sum(account)
        allocator = account["rows"]["allocator"]
        assert allocator["name"].startswith(library[:12]) and 49 * MIB <= allocator["size"] <= 80 * MIB
        assert account["heaps"] == 0 and account["not_accounted"] <= account["size"] // 50


GROWS = """import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
kept = []
os.write(int(os.environ["TM_READY"]), b"ready\\n")
for line in sys.stdin:
    for _ in range(20000):
        ctypes.memset(libc.malloc(500), 1, 500)
    kept += [bytes(1000) for _ in range(5000)]
    os.write(int(os.environ["TM_READY"]), b"more\\n")
"""


@thorough
def test_growth_of_c_blocks_is_beside_what_python_grew(tmp_path):
    script = tmp_path / "grows.py"
    script.write_text(GROWS)
    with debuggers.start_traced_process(SYSTEM, str(script), frames=2, preload=True) as process:
        old = debuggers.gcore(process.pid, tmp_path / "old")
        process.tell()
        process.ready()
        new = debuggers.gcore(process.pid, tmp_path / "new")
    line = "tm-diff %s %s --memory -n 1" % (old, new)
    text, answer = debuggers.answers("gdb", [line, line + " --json"])
    memory = json.loads(answer)["memory"]
    assert 20000 * 512 <= memory["heaps"]["untraced"]["size_diff"] <= 20000 * 512 + MIB
    assert 5000 * 1033 <= memory["traced"]["size_diff"] <= 5000 * 1033 + MIB
    parts = sum(row["size_diff"] for name, row in memory.items() if isinstance(row, dict) and name != "all")
    assert parts == memory["all"]["size_diff"]
    lines = text.splitlines()
    assert any(line.endswith("  the rest of C heaps, in use and not traced") and "+" in line for line in lines)


@thorough
@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_both_debuggers_and_the_command_print_the_same_of_a_core(debugger, tmp_path):
    with start(SYSTEM, "sparse") as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
    command = os.path.join(debuggers.BUILD, "bin", "tracemortem")
    lines = ["tm-memory", "tm-memory --json", "tm-memory pools -n 3", "tm-memory pools traceback -n 2 --json"]
    for line, answer in zip(lines, debuggers.answers(debugger, lines, core=core, program=SYSTEM)):
        words = [command, "memory", core] + line.split()[1:]
        assert subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode() == answer
