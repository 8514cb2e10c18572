"""Stock processes beyond the oracle's questions; refusals that say what to type; comparisons across kinds of tables."""

import json
import os
import random
import struct
import subprocess

import asking
import cores
import debuggers
import pytest
import pythons
from selection import is_newest, is_one_of_its_version, light, thorough

HERE = os.path.dirname(os.path.realpath(__file__))
PYTHONS = pythons.find()
WAIT = "import os, sys\nos.write(int(os.environ['TM_READY']), b'ready\\n')\nsys.stdin.readline()\n"
EVERY_WAY = [(debugger, kind) for debugger in debuggers.DEBUGGERS for kind in ("live", "core", "alone")]


def name_of(python):
    return ".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0]


def start(python, code, *options, **more):
    return debuggers.start_process([python.path] + list(options) + ["-c", code + WAIT], **more)


def target_of(kind, process, core, python):
    """A live process, a core with its executable, or a core alone, which has no symbols and no version: only memory."""
    return {"live": {"pid": process.pid}, "core": {"core": core, "program": python.path}, "alone": {"core": core}}[kind]


def places_of(row):
    """The frames without the functions' names, which stock tables do not have."""
    return [(frame["filename"], frame["lineno"]) for frame in row["traceback"]]


def refused(debugger, *words, **target):
    outcome = debuggers.run_debugger(debugger, ["tm-top"], **target)
    said = outcome.stdout + outcome.stderr
    assert outcome.status == 1 and "Traceback (most recent call last)" not in said, said
    for word in words:
        assert word in said, said
    return said


# -- answers


@light(lambda python: is_one_of_its_version(python))
@pytest.mark.parametrize("python", PYTHONS, ids=name_of)
def test_objects_and_names_of_every_kind(python, tmp_path):
    """tm-traceback finds the block of an object; file names of all kinds of str are shown; so is numpy's domain."""
    number = PYTHONS.index(python)
    words = [python.path, "-X", "tracemalloc=7", os.path.join(HERE, "programs", "kinds.py")]
    with debuggers.start_process(words, folder=tmp_path) as process:
        core = debuggers.gcore(process.pid, tmp_path / "kinds.core")
        with open(tmp_path / "answer.json", encoding="ascii") as file:
            known = json.load(file)
        for debugger, kind in (EVERY_WAY + EVERY_WAY)[number % 6 :][:2]:
            lines = ["tm-info --json", "tm-top traceback --json -n 100000", "tm-top filename --domain 389047 --json"]
            lines += ["tm-traceback --json %#x" % address for address, _ in known["objects"]]
            # An address inside a large block.
            lines += ["tm-traceback --json %#x" % (known["objects"][0][0] + 24)]
            given = [
                json.loads(text)
                for text in debuggers.answers(debugger, lines, **target_of(kind, process, core, python))
            ]
            assert given[0]["source"] == "stock" and given[0]["missing"]["first_address"] is None
            assert given[0]["python_version"] == ".".join(map(str, python.version)) or python.version >= (3, 14)
            rows = [
                [row["size"], row["count"], [[frame["filename"], frame["lineno"]] for frame in row["traceback"]]]
                for row in given[1]["statistics"]
            ]
            assert len(known["names"]) >= 10 and [row for row in known["names"] if row not in rows] == []
            assert given[2]["total_size"] == known["numpy"]
            assert len(known["objects"]) >= 5
            for (address, frames), answer in zip(known["objects"], given[3:]):
                own = [block for block in answer["blocks"] if block["domain"] == 0]
                assert [[frame["filename"], frame["lineno"]] for frame in own[0]["traceback"]] == frames, hex(address)
                assert own[0]["address"] <= address


@light(lambda python: is_newest(python))
@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]], ids=name_of)
def test_stock_cores_traced_cores_and_saved_snapshots_are_compared_in_every_combination(python, tmp_path):
    script = tmp_path / "program.py"
    script.write_text("import sys\nkept = [bytes(500) for _ in range(int(sys.argv[1]))]\n" + WAIT)
    counts, totals, sides = {"stock": 1000, "saved": 1000, "traced": 3000}, {}, {}
    with debuggers.start_process([python.path, "-X", "tracemalloc=3", script, counts["stock"]]) as stock:
        sides["stock"] = debuggers.gcore(stock.pid, tmp_path / "stock.core")
        sides["saved"] = str(tmp_path / "saved.snapshot")
        debuggers.answers("gdb", ["tm-save %s" % sides["saved"]], pid=stock.pid)
    with debuggers.start_traced_process(python.path, script, [counts["traced"]], frames=3) as traced:
        sides["traced"] = debuggers.gcore(traced.pid, tmp_path / "traced.core")
    here, at = [(str(script), 2)], {}
    for name in ("stock", "traced"):
        lines = ["tm-top --json -n 1000000", "tm-traces --json -n 1000000 --include %s:2" % script]
        top, traces = map(json.loads, debuggers.answers("gdb", lines, core=sides[name]))
        # 33 bytes are the head of a bytes object
        assert sum(trace["size"] == 533 for trace in traces["traces"]) == counts[name]
        totals[name] = top["total_size"]
        (at[name],) = [row["count"] for row in top["statistics"] if places_of(row) == here]
    totals["saved"], at["saved"] = totals["stock"], at["stock"]
    pairs = [(old, new) for old in sides for new in sides if old != new]
    for debugger in debuggers.DEBUGGERS:
        lines = ["tm-diff %s %s --json -n 1000000" % (sides[old], sides[new]) for old, new in pairs]
        for (old, new), text in zip(pairs, debuggers.answers(debugger, lines, core=sides["stock"])):
            answer = json.loads(text)
            assert answer["total_size_diff"] == totals[new] - totals[old], (old, new)
            (row,) = [row for row in answer["statistics"] if places_of(row) == here]
            assert row["count_diff"] == at[new] - at[old], (old, new)


# -- incomplete cores


def traces_of(debugger, core):
    """All blocks with what the answer says of them, and what is missing. Or None and the error."""
    (answers,) = asking.ask(debugger, [(core, ["tm-traces --json -n 1000000", "tm-info --json"])])
    if answers[0].error:
        return None, answers[0].error
    answer, info = (json.loads(text.output[text.output.index("{") :]) for text in answers)
    assert info["source"] == "stock"
    rows = {(row["domain"], row["address"], row["size"], tuple(places_of(row))) for row in answer["traces"]}
    assert answer["missing"]["unreadable_records"] == info["missing"]["unreadable_records"]
    return rows, answer["missing"]


@thorough
@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]], ids=name_of)
def test_a_core_which_lacks_pages_gives_a_part_and_says_how_much_is_missing(python, tmp_path):
    code = "def make(n):\n    return [bytes(n)] * (n % 9)\nkept = [make(i % 300) for i in range(20000)]\n"
    with start(python, code, "-X", "tracemalloc=5") as process:
        core = cores.Core(debuggers.gcore(process.pid, tmp_path / "whole.core"))
    whole, missing = traces_of("gdb", core.path)
    assert len(whole) > 5000 and missing["unreadable_records"] == 0
    table = json.loads(debuggers.answers("gdb", ["tm-info --json"], core=core.path)[0])["table_address"]
    (heap,) = [segment for segment in core.loads() if segment.start <= table < segment.start + segment.held]
    told = []
    for chance in (0.02, 0.3):
        pick = random.Random(chance)

        def unwanted(address, _, pick=pick, chance=chance):
            # Pages of the heap, except those with the heads of the tables and the lock.
            inside = heap.start <= address < heap.start + heap.held and abs(address - table) >= 1 << 20
            return inside and pick.random() < chance

        part = core.without_pages(tmp_path / ("%s.core" % chance), unwanted)
        for debugger in debuggers.DEBUGGERS:
            rows, missing = traces_of(debugger, part)
            assert rows is not None, missing
            assert rows < whole and missing["unreadable_records"] >= len(whole) - len(rows)
            assert missing["first_address"] and missing["why"]
            told.append(len(rows))
    assert told[0] == told[1] > told[2] == told[3] > 100


def test_the_empty_table_which_serves_our_tracer_is_not_taken_for_an_answer(tmp_path):
    """Up to 3.12 our tracer hears of births through CPython's own tracemalloc."""
    served = [python for python in PYTHONS if python.version < (3, 13)]
    if not served:
        pytest.skip("no CPython before 3.13")
    script = tmp_path / "program.py"
    script.write_text(WAIT)
    with debuggers.start_traced_process(served[-1].path, script) as process:
        core = cores.Core(debuggers.gcore(process.pid, tmp_path / "whole.core"))
    table = json.loads(debuggers.answers("gdb", ["tm-info --json"], core=core.path)[0])["table_address"]
    (root,) = [segment for segment in core.loads() if segment.start <= table < segment.start + segment.held]
    for named, words in (
        (True, "bytes of the process's memory are missing"),
        (False, "traced by tracemortem's tracer, but"),
    ):
        part = core.without(tmp_path / ("%s.core" % named), lambda segment: segment == root, named)
        for debugger in debuggers.DEBUGGERS:
            rows, said = traces_of(debugger, part)
            # lldb reads the tracer's symbols from its file.
            assert rows is None and (words if debugger == "gdb" else "trace table at") in said, said
            assert "gcore PID" in said


def test_the_debuggers_python_has_tracemallocs_objects_of_a_stock_process(tmp_path):
    python = PYTHONS[-1]
    code = "big = bytearray(123456)\nprint(id(big))\nos = __import__('os')\nos.write(int(os.environ['TM_READY']), b'%d\\n' % id(big))\n"
    with start(python, code, "-X", "tracemalloc=3") as process:
        address = int(process.first_line)
        for debugger, word in (("gdb", "python"), ("lldb", "script")):
            line = "%s import tm_%s as t; s = t.take_snapshot(); " % (word, debugger)
            line += "print(sum(123456 <= x.size < 123600 for x in s.traces), "
            line += "len(s.statistics('lineno')) > 1, t.get_object_traceback(%d)[-1])" % address
            (text,) = debuggers.answers(debugger, [line], pid=process.pid)
            assert text == "1 True <string>:1\n"


# -- builds whose linker regroups the variables (-flto), as Debian's own

HOST = """
#include <dlfcn.h>
int main(int count, char **words)
{
    void *library = count == 3 ? dlopen(words[1], RTLD_NOW | RTLD_GLOBAL) : 0;
    if (!library)
        return 1;
    ((void (*)(int))dlsym(library, "Py_InitializeEx"))(1);
    return ((int (*)(const char *))dlsym(library, "PyRun_SimpleString"))(words[2]);
}
"""
KEPT = "kept = [bytes(70000 + i) for i in range(100)]\n"


def start_system_python(build, folder):
    """The system's Python under tracemalloc: its program, or a host that loads its library late."""
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("no /usr/bin/python3")
    ask = "import sysconfig; print(*map(sysconfig.get_config_var, ('INSTSONAME', 'LIBDIR', 'MULTIARCH')))"
    run = subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, check=True)
    name, folder_of_libraries, machine = run.stdout.decode().split()
    variables = {"PYTHONTRACEMALLOC": "3"}
    if build == "program":
        return debuggers.start_process([python, "-c", KEPT + WAIT], environment=variables)
    name = name.replace(".a", ".so.1.0")  # what a Python that has its own copy names is the static library
    names = [os.path.join(folder_of_libraries, name), os.path.join(folder_of_libraries, machine, name)]
    found = [path for path in names if os.path.exists(path)]
    if not found:
        pytest.skip("the system has no library of its Python")
    (folder / "host.c").write_text(HOST)
    subprocess.run(["cc", "-o", folder / "host", folder / "host.c", "-ldl"], check=True)
    return debuggers.start_process([folder / "host", found[0], KEPT + WAIT], environment=variables)


@thorough
@pytest.mark.parametrize("build", ["program", "library"])
def test_tables_are_known_by_what_they_are_wherever_a_linker_put_their_variables(build, tmp_path):
    """With whatever symbols there are, with the exported ones only, and with none."""
    lines = ["tm-info --json", "tm-top --json -n 1"]
    with start_system_python(build, tmp_path) as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
        live = [debuggers.answers(debugger, lines, pid=process.pid) for debugger in debuggers.DEBUGGERS]
        without = ["set debug-file-directory /nonexistent", "attach %d" % process.pid]
        live += [debuggers.answers("gdb", without + lines)[2:]]
        dead = [debuggers.answers(debugger, lines, core=core) for debugger in debuggers.DEBUGGERS]
    asked = live + dead
    # A core lacks the program's own pages. If the heap lies near them, one of them may be the lock for all that is known.
    assert [json.loads(info)["locked"] for info, _ in live] == [False] * 3
    assert {json.loads(info).get("locked", "unknown") for info, _ in dead} <= {False, "unknown"}
    for info, top in asked:
        info, top = json.loads(info), json.loads(top)
        assert (info["source"], info["tracing"]) == ("stock", True), info
        assert info["missing"]["first_address"] is None, info
        (row,) = top["statistics"]
        assert row["lineno"] == 1 and row["count"] >= 100
        # The header of a bytes object has 33 bytes; the rest is the list's.
        assert sum(range(70000, 70100)) + 100 * 33 <= row["size"] < sum(range(70000, 70100)) + 100 * 64
    assert len({json.loads(info)["traced_memory"] for info, _ in asked}) == 1


@light(lambda python: python == PYTHONS[0] or python.path.startswith("/usr/bin/"))
@pytest.mark.parametrize("python", PYTHONS, ids=name_of)
def test_the_peak_is_the_same_without_symbols(python, tmp_path):
    with start(python, "grown = bytes(3000000)\ndel grown\n", "-X", "tracemalloc") as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
        (live,) = debuggers.answers("gdb", ["tm-info --json"], pid=process.pid)
        alone = [debuggers.answers(debugger, ["tm-info --json"], core=core)[0] for debugger in debuggers.DEBUGGERS]
    peak = json.loads(live)["peak_traced_memory"]
    assert json.loads(live)["traced_memory"] + 1500000 < peak
    assert [json.loads(answer)["peak_traced_memory"] for answer in alone] == [peak] * len(debuggers.DEBUGGERS)


# -- refusals


@pytest.mark.parametrize("python", [PYTHONS[0], PYTHONS[-1]], ids=name_of)
def test_never_started(python, tmp_path):
    with start(python, "") as process:
        core = debuggers.gcore(process.pid, tmp_path / "core")
        for debugger in debuggers.DEBUGGERS:
            refused(debugger, "never started", "-X tracemalloc", "LD_PRELOAD", pid=process.pid)
        # Only the version is known, and that there is no table. Later CPythons have a table from the start.
        said = refused("gdb", "Python %d.%d.%d" % python.version, "-X tracemalloc", core=core)
        assert (", but no tables" in said and "gcore" in said and "file PATH" in said) or (
            python.version >= (3, 13) and "tracemalloc was never started in it" in said
        )


@pytest.mark.parametrize("python", PYTHONS, ids=name_of)
def test_started_and_stopped(python):
    with start(python, "import tracemalloc\ntracemalloc.start()\ntracemalloc.stop()\n") as process:
        refused("gdb", "stopped", "tracemalloc.start()", pid=process.pid)
        info = json.loads(debuggers.answers("gdb", ["tm-info --json"], pid=process.pid)[0])
        assert (info["source"], info["tracing"]) == ("stock", False)


def test_an_unknown_version():
    newer = [python for python in PYTHONS if python.version >= (3, 13)]
    if not newer:
        pytest.skip("no CPython that has its version in _PyRuntime")
    with start(newer[-1], "", "-X", "tracemalloc") as process:
        with open("/proc/%d/maps" % process.pid) as file:
            lines = [line.split() for line in file]
        with open("/proc/%d/mem" % process.pid, "r+b", buffering=0) as memory:
            for words in lines:
                start_, end = (int(bound, 16) for bound in words[0].split("-"))
                if "w" not in words[1] or "python" not in words[-1]:
                    continue
                memory.seek(start_)
                at = memory.read(end - start_).find(b"xdebugpy")
                if at >= 0:
                    memory.seek(start_ + at + 8)
                    memory.write(struct.pack("<Q", 0x031D00F0))
        for debugger in debuggers.DEBUGGERS:
            refused(debugger, "3.29.0", "3.8 to 3.15", "later tracemortem", pid=process.pid)


def test_no_python_at_all():
    with debuggers.start_process(["bash", "-c", "echo ready >&$TM_READY; read line"]) as process:
        refused("gdb", "not a Python process", pid=process.pid)
