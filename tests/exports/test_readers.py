"""Each format says in its reader what tm-top and tm-diff say: the same places, and the same sums to the byte."""

import collections
import csv
import io
import json
import os
import re
import shutil
import subprocess

import debuggers
import pytest
from exporting import NODE_MODULES
from selection import thorough

pytestmark = thorough


def by_function(rows, *keys):
    """{function: [a sum for each key]} of rows of tm-top; code without a function is by its place."""
    sums = collections.defaultdict(lambda: [0] * len(keys))
    for row in rows:
        for index, key in enumerate(keys):
            sums[row.get("name") or "%s:%d" % (row["filename"], row["lineno"])][index] += row[key]
    return dict(sums)


def printable(text):
    """As all answers escape a name."""
    return re.sub("[\u202a-\u202e]", lambda found: "\\u%04x" % ord(found.group()), text)


# -- collapsed stacks, as flamegraph.pl splits them


def collapsed(text, numbers):
    """{stack: its numbers} of collapsed stacks."""
    pattern = re.compile(r"(.*)" + r" (\d+)" * numbers)
    rows = [pattern.fullmatch(line).groups() for line in text.split("\n")[:-1]]
    stacks = {tuple(row[0].split(";")): tuple(map(int, row[1:])) for row in rows}
    assert len(stacks) == len(rows)
    return stacks


def line_sums(stacks):
    """{file:line of the newest frame: the sum of each number}."""
    sums = collections.defaultdict(lambda: (0, 0))
    for frames, numbers in stacks.items():
        found = re.fullmatch(r".*? \((.*:\d+)\)", frames[-1], re.DOTALL)
        place = found.group(1) if found else frames[-1]
        sums[place] = tuple(map(sum, zip(sums[place], (numbers + (0,))[:2])))
    return dict(sums)


def place_of(row):
    return printable("%s:%d" % (row["filename"], row["lineno"])).replace(";", "\\x3b")


def test_collapsed_stacks_have_each_lines_bytes(exported):
    sums = line_sums(collapsed(exported.read("collapsed"), 1))
    assert sums == {place_of(row): (row["size"], 0) for row in exported.top["statistics"]}


def test_collapsed_stacks_of_a_difference_have_both_sides(exported):
    sums = line_sums(collapsed(exported.read("collapsed.diff"), 2))
    rows = exported.diff["statistics"]
    assert sums == {place_of(row): (row["size"] - row["size_diff"], row["size"]) for row in rows}
    grown = [new - old for place, (old, new) in sums.items() if "/shop.py:" in place]
    assert max(grown) >= 15 * 100000


# -- pprof


@pytest.fixture(scope="session")
def pprof():
    if not shutil.which("go"):
        pytest.skip("no go: make deps test-all")

    def run(path, *options):
        """{function: (flat, cum)} and the total, in bytes, of `go tool pprof -top`; and all that it printed."""
        command = ["go", "tool", "pprof", "-top", "-unit=B", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0"]
        environment = dict(os.environ, HOME=os.path.dirname(path), PPROF_TMPDIR=os.path.dirname(path))
        answer = subprocess.run(
            command + list(options) + [path],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=debuggers.PATIENCE,
        )
        assert answer.returncode == 0, answer.stderr.decode()
        text = answer.stdout.decode()
        row = re.compile(r" *(-?\d+)B? +\S+ +\S+ +(-?\d+)B? +\S+ +(.*)")
        rows = {found[3]: (int(found[1]), int(found[2])) for found in map(row.fullmatch, text.splitlines()) if found}
        return rows, text

    return run


# pprof shows names without what it takes for arguments of a C++ template. Names that it does not change:
PLAIN = ("Basket.make", "Basket.add")


def test_pprof_has_each_functions_bytes(exported, pprof):
    rows, text = pprof(exported.path("pprof"))
    total = int(re.search(r"of (\d+)B total", text).group(1))
    assert total == exported.top["total_size"] == sum(flat for flat, _ in rows.values())
    sums = by_function(exported.functions["statistics"], "size", "count")
    assert {name: rows[name][0] for name in PLAIN} == {name: sums[name][0] for name in PLAIN}
    assert rows["Basket.add"][1] >= 20 * 100000
    assert "Type: inuse_space" in text
    counts, text = pprof(exported.path("pprof"), "-sample_index=inuse_objects")
    assert sum(flat for flat, _ in counts.values()) == exported.top["total_count"]
    assert counts["Basket.make"][0] == sums["Basket.make"][1]


def test_pprof_has_what_was_ever_allocated(exported, pprof):
    ever, _ = pprof(exported.path("pprof"), "-sample_index=alloc_space")
    live, _ = pprof(exported.path("pprof"))
    assert set(live) <= set(ever)
    assert sum(flat for flat, _ in ever.values()) > sum(flat for flat, _ in live.values())
    assert all(ever[name][0] >= live[name][0] for name in PLAIN)


def test_pprof_can_select_by_domain(exported, pprof):
    all_rows, _ = pprof(exported.path("pprof"))
    of_python, _ = pprof(exported.path("pprof"), "-tagfocus=domain=^0$")
    assert of_python == all_rows


def test_pprof_of_a_difference_has_old_as_its_base(exported, pprof):
    rows, _ = pprof(exported.path("pprof.diff"))
    assert sum(flat for flat, _ in rows.values()) == exported.diff["total_size_diff"]
    assert rows["Basket.make"][0] == 15 * (rows["Basket.make"][0] // 15) >= 15 * 100000


# -- speedscope


@pytest.mark.parametrize("name, profile", [("speedscope", "bytes (1/2)"), ("speedscope.diff", "bytes that grew (1/6)")])
def test_speedscope_opens_it_and_names_the_largest(exported, browser, tmp_path, name, profile):
    said = browser("speedscope_probe.js", NODE_MODULES, exported.path(name), tmp_path)
    assert said["wrong"] == []
    assert re.fullmatch(r"process \d+ - speedscope", said["title"])
    assert profile in said["text"] and "Basket.make" in said["text"]
    blocks = 15 if name.endswith("diff") else 20
    assert "%.2f MB" % (blocks * 100000 / 1024 / 1024) in said["text"]


def test_speedscopes_schema_accepts_the_files(exported):
    jsonschema = pytest.importorskip("jsonschema")
    path = os.path.join(NODE_MODULES, "speedscope", "dist", "release", "file-format-schema.json")
    if not os.path.exists(path):
        pytest.skip("no speedscope: make deps test-all")
    with open(path) as file:
        schema = json.load(file)
    for name in ("speedscope", "speedscope.diff"):
        document = json.loads(exported.read(name))
        jsonschema.validate(document, schema)
        for profile in document["profiles"]:
            assert len(profile["samples"]) == len(profile["weights"])
            assert sum(profile["weights"]) == profile["endValue"]
    sizes = {profile["name"]: profile["endValue"] for profile in json.loads(exported.read("speedscope"))["profiles"]}
    assert sizes == {"bytes": exported.top["total_size"], "blocks": exported.top["total_count"]}


# -- tables


def test_csv_has_each_lines_bytes_and_no_formula(exported):
    rows = list(csv.DictReader(io.StringIO(exported.read("csv"))))
    sums = collections.Counter()
    for row in rows:
        assert not any(cell and cell[0] in "=+@" for cell in row.values())
        sums[row["filename"], int(row["lineno"])] += int(row["size"])
    expected = {(printable(row["filename"]), row["lineno"]): row["size"] for row in exported.top["statistics"]}
    assert dict(sums) == expected
    sizes = [int(row["size"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)


def test_csv_of_a_difference_has_each_number_and_its_change(exported):
    rows = list(csv.DictReader(io.StringIO(exported.read("csv.diff"))))
    assert sum(int(row["size_diff"]) for row in rows) == exported.diff["total_size_diff"]
    assert sum(int(row["count_diff"]) for row in rows) == exported.diff["total_count_diff"]
    assert int(rows[0]["size_diff"]) >= 15 * 100000 and rows[0]["name"] == "Basket.make"


def test_json_has_the_rows_of_tm_top_traceback(exported):
    answer = json.loads(exported.read("json"))
    assert answer["total_size"] == exported.top["total_size"]
    sums = collections.Counter()
    for row in answer["statistics"]:
        newest = row["traceback"][-1]
        sums[newest["filename"], newest["lineno"]] += row["size"]
    assert dict(sums) == {(row["filename"], row["lineno"]): row["size"] for row in exported.top["statistics"]}
    difference = json.loads(exported.read("json.diff"))
    assert sum(row["size_diff"] for row in difference["statistics"]) == exported.diff["total_size_diff"]


# -- debuggers


def test_the_command_line_writes_the_same_bytes_too(exported, tmp_path):
    command = os.path.join(debuggers.BUILD, "bin", "tracemortem")
    if not os.path.exists(command):
        pytest.skip("built without the command: it needs libdw-dev")
    for name in ("pprof", "collapsed", "csv"):
        path = tmp_path / name
        subprocess.run([command, "export", exported.path("new.core"), name, path], check=True, stdout=subprocess.PIPE)
        with open(exported.path(name), "rb") as file:
            assert path.read_bytes() == file.read()


def test_both_debuggers_write_the_same_bytes(exported, tmp_path):
    core = exported.path("new.core")
    for debugger in debuggers.DEBUGGERS:
        asked = ["tm-export %s %s/%s.%s" % (name, tmp_path, name, debugger) for name in ("pprof", "collapsed", "json")]
        debuggers.answers(debugger, asked, core=core)
    for name in ("pprof", "collapsed"):
        by_gdb, by_lldb = ((tmp_path / ("%s.%s" % (name, debugger))).read_bytes() for debugger in debuggers.DEBUGGERS)
        assert by_gdb == by_lldb
    by_gdb, by_lldb = (json.loads((tmp_path / ("json." + debugger)).read_text()) for debugger in debuggers.DEBUGGERS)
    assert by_gdb["statistics"] == by_lldb["statistics"]


# -- types


def test_types_are_a_level_of_pictures_and_a_label_of_pprof(exported, pprof, tmp_path):
    core = exported.path("new.core")
    formats = ("collapsed", "speedscope", "pprof")
    asked = ["tm-export %s %s/%s type,traceback" % (name, tmp_path, name) for name in formats]
    said = debuggers.answers("gdb", asked + ["tm-top type -n 100000 --json"], core=core)
    sums = {row["type"]: row["size"] for row in json.loads(said[-1])["statistics"]}
    by_type = collections.Counter()
    for frames, (size,) in collapsed((tmp_path / "collapsed").read_text(), 1).items():
        by_type[re.fullmatch(r"(.*) \(<type>:0\)", frames[-1]).group(1)] += size
    assert by_type == {name: size for name, size in sums.items() if size}
    assert sums["bytearray"] >= 20 * 100000
    profile = json.loads((tmp_path / "speedscope").read_text())
    assert {"name": "bytearray", "file": "<type>"} in profile["shared"]["frames"]
    rows, _ = pprof(str(tmp_path / "pprof"), "-tagfocus=type=^bytearray$")
    assert sum(flat for flat, _ in rows.values()) == sums["bytearray"]
