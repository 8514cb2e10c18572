"""tm-export heapsnapshot: the file is sound, and the programs that read such files show what the debuggers say.

Strategy: a core of the program with leaks of `tests/objects`. The readers are Chromium's own memory panel, which is loaded
in a headless browser, and memlab's parser.
"""

import json
import os
import shutil
import subprocess

import debuggers
import pytest
import pythons
from exporting import HERE, NODE_MODULES
from selection import thorough

pytestmark = thorough

SCRIPT = os.path.join(debuggers.ROOT, "tests", "objects", "programs", "leaks.py")
CLASSES = ["__main__.Subscriber", "__main__.Page", "__main__.Signal"]
KNOWN = [python for python in pythons.find() if (3, 8) <= python.version[:2] <= (3, 15)]


class Heap:
    def __init__(self, folder):
        self.file = os.path.join(folder, "leaks.heapsnapshot")
        self.timeline = os.path.join(folder, "leaks.heaptimeline")
        python = KNOWN[-1].path
        with debuggers.start_traced_process(python, SCRIPT, frames=5, preload=True) as process:
            held = dict(pair.split("=") for pair in process.first_line.split())
            core = debuggers.gcore(process.pid, os.path.join(folder, "core"))
        commands = ["tm-export heapsnapshot %s --json" % self.file, "tm-top type -n 100000 --json"]
        commands += ["tm-find --type %s --json" % name for name in CLASSES]
        commands += ["tm-holders --json %s" % held["handler"], "tm-traceback --json %s" % held["handler"]]
        said = list(map(json.loads, debuggers.answers("gdb", commands, program=python, core=core)))
        self.said, self.top, self.holders, self.traceback = said[0], said[1], said[-2], said[-1]
        self.addresses = {name: found["objects"][0]["address"] for name, found in zip(CLASSES, said[2:5])}
        self.retained = {}
        retained = ["tm-holders --json %d" % self.addresses[name] for name in CLASSES]
        for name, text in zip(CLASSES, debuggers.answers("gdb", retained, program=python, core=core)):
            self.retained[name] = json.loads(text)["retained_size"]
        shutil.copy(self.file, self.timeline)
        with open(self.file, encoding="ascii") as file:
            self.parsed = json.load(file)


@pytest.fixture(scope="module")
def heap(tmp_path_factory):
    return Heap(str(tmp_path_factory.mktemp("heap")))


def test_the_file_is_sound(heap):
    nodes, edges, strings = (heap.parsed[name] for name in ("nodes", "edges", "strings"))
    meta = heap.parsed["snapshot"]
    width = len(meta["meta"]["node_fields"])
    assert len(nodes) == width * meta["node_count"] == width * heap.said["rows"]
    assert len(edges) == 3 * meta["edge_count"] == 3 * heap.said["edges"] == 3 * sum(nodes[4::width])
    assert max(nodes[1::width]) < len(strings)
    assert len(set(nodes[2::width])) == meta["node_count"] and max(nodes[2::width]) < 2**32
    assert all(node % width == 0 and node < len(nodes) for node in edges[2::3])
    assert all(name < len(strings) for kind, name in zip(edges[0::3], edges[1::3]) if kind != 1)
    assert heap.said["total_size"] == heap.top["total_size"]


def test_every_node_has_a_traceback_of_the_tree(heap):
    seen = {}

    def visit(children, path):
        for i in range(0, len(children), 5):
            ident, function, count, size = children[i : i + 4]
            assert ident not in seen
            seen[ident] = (path + [function], count, size)
            visit(children[i + 4], path + [function])

    visit(heap.parsed["trace_tree"], [])
    nodes = heap.parsed["nodes"]
    sizes = {}
    for trace, size in zip(nodes[5::7], nodes[3::7]):
        if trace:
            count, total = sizes.get(trace, (0, 0))
            sizes[trace] = (count + 1, total + size)
    assert all(seen[trace][1:] == amount for trace, amount in sizes.items())
    assert sum(amount[1] for amount in sizes.values()) == heap.said["total_size"]


def test_the_memory_panel_of_chromium_shows_it(heap, browser):
    panel = browser("panel_probe.js", heap.file, *CLASSES)
    assert panel["nodes"] == heap.said["rows"]
    assert panel["total"] >= heap.said["total_size"]
    counts = {row["name"]: row["count"] for row in panel["classes"]}
    types = {row["type"]: row["count"] for row in heap.top["statistics"]}
    for name in ("dict", "tuple", "list", "__main__.Plain", "__main__.Slotted", "cell", "method", "set"):
        assert counts[name] == types[name], name
    assert counts["(string)"] == types["str"] and counts["Function"] == types["function"]
    for name in CLASSES:
        assert panel["objects"][name]["retainedSize"] == heap.retained[name], name
    subscriber = panel["objects"]["__main__.Subscriber"]
    names = [name for _, name in subscriber["path"]]
    assert names[-1] == "__self__" and "handlers" in names and "['changed']" in names
    assert ["allocated at", "%s:%d" % (SCRIPT, heap.holders["path"][-1]["lineno"])] in subscriber["children"]


def test_the_panel_has_allocation_stacks(heap, browser):
    panel = browser("panel_probe.js", heap.timeline, "__main__.Subscriber")
    stack = [
        (frame["functionName"], frame["scriptName"], frame["line"])
        for frame in panel["objects"]["__main__.Subscriber"]["stack"]
        if frame["scriptName"]
    ]
    frames = heap.traceback["blocks"][0]["traceback"]
    assert stack == [(frame["name"], frame["filename"], frame["lineno"]) for frame in reversed(frames)]


def test_memlab_parses_it(heap, tmp_path):
    if not shutil.which("node") or not os.path.exists(os.path.join(NODE_MODULES, "@memlab", "core")):
        pytest.skip("no node, or no memlab: make deps test-all")
    run = subprocess.run(
        ["node", os.path.join(HERE, "memlab_probe.js"), "-", heap.file] + CLASSES,
        env=dict(os.environ, NODE_PATH=NODE_MODULES, TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=debuggers.PATIENCE,
    )
    assert run.returncode == 0, run.stderr.decode()
    found = json.loads(run.stdout.decode())
    assert (found["nodes"], found["edges"]) == (heap.said["rows"], heap.said["edges"])
    types = {row["type"]: row["count"] for row in heap.top["statistics"]}
    assert found["counts"]["dict"] == types["dict"] and found["counts"]["(string)"] == types["str"]
    for name in CLASSES:
        assert found["objects"][name]["retainedSize"] == heap.retained[name], name
    assert ["method", "__self__"] in found["objects"]["__main__.Subscriber"]["referrers"]
