"""Generated programs: tracemalloc inside and the debuggers outside give the same answers, to the byte.

The programs run under our tracer (the way "tracer") or under CPython's own tracemalloc ("stock"). TM_ORACLE=N tries N
more seeds with more objects, on every CPython found. TM_ORACLE_LARGE=1 runs large programs under each CPython's own
tracemalloc, with both debuggers, as process and as core.
"""

import itertools
import json
import os
import random
import re
import shlex
import signal
import subprocess

import debuggers
import generate
import pytest
import pythons
from selection import is_newest, light, thorough

HERE = os.path.dirname(os.path.realpath(__file__))
PYTHONS = pythons.find()
DOMAINS = [5, 0xFFFFFFFF]
MANY = 1000000
LARGEST = 100000


# -- questions


def some_queries(rng, folder, names):
    """Every key, cumulative or not, by tm-top and tm-diff, with filters of every kind and limits."""
    here, string = str(folder), "<string>"
    patterns = ["*", here + "/*", "*/%s.py" % generate.MODULES[1], "*\u00e9*", "[!/<]*", "[a-m]*.pyc", "*.pyc", string]
    patterns += ["?*line.py", "*?.py", here + "/[\u4e00-\u9fff]*", "nowhere", names[0], "*runtime.py", "[!", "[]x]*"]

    def a_filter(all_frames=False):
        domain = rng.choice(DOMAINS + [0, 7]) if rng.random() < 0.3 else None
        if domain is not None:
            return [True, None, None, False, domain]
        return [rng.random() < 0.5, rng.choice(patterns), rng.choice((None, None, 25)), all_frames, None]

    queries = []
    for command, (key, cumulative) in itertools.product(
        ("tm-top", "tm-diff"),
        (("lineno", False), ("filename", False), ("traceback", False), ("lineno", True), ("filename", True)),
    ):
        base = {"command": command, "key": key, "cumulative": cumulative, "session": False}
        most = 200 if key == "traceback" else MANY  # each row has many lines
        queries.append(dict(base, limit=most, filters=[]))
        for _ in range(2):
            all_frames = rng.random() < 0.4
            filters = [a_filter(all_frames) for _ in range(rng.randint(1, 3))]
            queries.append(dict(base, limit=rng.choice((0, 1, 10, most)), filters=filters))
        # Filters of the session can say more: a pattern in a domain, a domain left out, all frames for one filter.
        filters = [
            [rng.random() < 0.5, rng.choice(patterns + [None]), None, rng.random() < 0.5, rng.choice(DOMAINS + [0])]
            for _ in range(rng.randint(1, 2))
        ]
        for words in filters:
            words[3] = words[3] and words[1] is not None
        queries.append(dict(base, limit=rng.choice((3, most)), filters=filters, session=True))
    for pattern in rng.sample(patterns, 10):
        filters = [[rng.random() < 0.7, pattern, None, rng.random() < 0.3, None]]
        queries.append(dict(command="tm-top", key="lineno", cumulative=False, session=False, limit=20, filters=filters))
    return queries


def few_queries(folder):
    """For programs whose own answers take long."""
    names = [str(folder / name) for name in generate.EXEC_FILES]
    few = [query for query in some_queries(random.Random(3), folder, names)[:40] if not query["cumulative"]]
    return few[::3]


def pattern_words(pattern, lineno):
    return [shlex.quote(pattern if lineno is None else "%s:%d" % (pattern, lineno))] if pattern is not None else []


def command_lines(query, old_core):
    """The lines to type for a query. The last but one gives the answer."""
    words = [query["command"]] + ([str(old_core)] if query["command"] == "tm-diff" else [])
    words += [query["key"], "--limit", str(query["limit"])] + ["--cumulative"] * query["cumulative"] + ["--plain"]
    before = []
    for inclusive, pattern, lineno, all_frames, domain in query["filters"]:
        if query["session"]:
            add = ["tm-filter", "add"] + ["--exclude"] * (not inclusive) + ["--all-frames"] * all_frames
            before.append(
                add + (["--domain", str(domain)] if domain is not None else []) + pattern_words(pattern, lineno)
            )
        elif pattern is None:
            words += ["--domain", str(domain)]
        else:
            words += ["--include" if inclusive else "--exclude"] + pattern_words(pattern, lineno)
            words += ["--all-frames"] * all_frames
    return [" ".join(line) for line in before + [words, ["tm-filter", "clear"]]]


# -- the expected answers


UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text, keep=""):
    """Escape as src/engine/base/text.h says: control characters and lone surrogates as repr() shows them."""
    return UNSAFE.sub(lambda match: match.group() if match.group() in keep else repr(match.group())[1:-1], text)


def escape_detail(line):
    """Escape a line below a row. Tabs stay in source lines."""
    return escape(line, keep="\t" if line.startswith("    ") else "")


def kib(values, is_difference):
    if is_difference:
        return "%.1f KiB (%+.1f KiB)" % (values[0] / 1024, values[2] / 1024)
    return "%.1f KiB" % (values[0] / 1024)


def expected_text(query, answer):
    is_difference = query["command"] == "tm-diff"
    lines = []
    for row, detail in answer["rows"]:
        lines += [escape(row)] + [escape_detail(line) for line in detail]
    if answer["others"]:
        other = "" if query["cumulative"] else ": " + kib(answer["other"], is_difference)
        lines.append("%d other%s" % (answer["others"], other))
    lines.append("Total allocated size: " + kib(answer["total"], is_difference))
    return "\n".join(lines) + "\n"


def without_filters(text, query):
    """The answer without the line that names the filters, and without the hints about patterns below it."""
    lines = text.splitlines(keepends=True)
    while query["filters"] and not lines[-1].startswith("filters: "):
        assert re.match(r'".*" matches (no|file names, but no) ', lines.pop())
    assert lines[-1].startswith("filters: ") == bool(query["filters"]), lines[-1]
    return "".join(lines[:-1] if query["filters"] else lines)


def expected_numbers(answer, is_difference):
    names = ["size", "count"] + ["size_diff", "count_diff"] * is_difference
    return [(row[0], dict(zip(names, row[1:]))) for row in answer["numbers"]]


def given_numbers(text, is_difference):
    names = ["size", "count"] + ["size_diff", "count_diff"] * is_difference
    return [
        ([[frame["filename"], frame["lineno"]] for frame in row["traceback"]], {name: row[name] for name in names})
        for row in json.loads(text)["statistics"]
    ]


# -- the comparison


class Stopped:
    """A generated program at its second stop, with a core of each stop. Then it gives its own answers."""

    def __init__(self, python, seed, objects, frames, folder, clear=True, queries=None, way="tracer"):
        names, sources = generate.write_program(folder, seed)
        self.folder = folder
        self.queries = queries or some_queries(random.Random(seed), folder, names)
        program = dict(modules=generate.MODULES, names=names, sources=sources, queries=self.queries, domains=DOMAINS)
        with open(folder / "program.json", "w", encoding="ascii") as file:
            json.dump(dict(program, probes=20, clear=clear), file)
        words = [os.path.join(HERE, "target.py"), seed, objects, folder]
        if way == "tracer":
            self.process = debuggers.start_traced_process(python, words[0], words[1:], frames=frames)
        else:
            self.process = debuggers.start_process([python, "-X", "tracemalloc=%d" % frames] + words)
        try:
            assert self.process.first_line == "old"
            self.old_core = debuggers.gcore(self.process.pid, folder / "old.core")
            self.process.popen.send_signal(signal.SIGUSR1)
            assert self.process.ready() == "new"
            self.core = debuggers.gcore(self.process.pid, folder / "new.core")
        except BaseException:
            self.process.close()
            raise
        with open(folder / "addresses.json") as file:
            self.addresses = json.load(file)
        self.targets = {"live": {"pid": self.process.pid}, "core": {"core": self.core, "program": python}}

    def answers(self):
        self.process.popen.send_signal(signal.SIGUSR1)
        assert self.process.ready() == "answered"
        with open(self.folder / "answers.json", encoding="ascii") as file:
            return json.load(file)


LIMITS = (None, 3, -2, 1, 1000, -1000)


def plain_queries(stopped):
    """The queries that are also asked for as JSON."""
    return [query for query in stopped.queries if not query["filters"]]


def all_lines(stopped):
    """What to type, and for each query and each probe where its answer is."""
    lines, places = ["tm-info --json"], []
    for query in stopped.queries:
        lines += command_lines(query, stopped.old_core)
        places.append(len(lines) - 2)
    for query in plain_queries(stopped):
        lines.append(command_lines(query, stopped.old_core)[0] + " --json")
    probes = len(lines)
    for number, address in enumerate(stopped.addresses):
        limit = LIMITS[number % len(LIMITS)]
        lines.append("tm-traceback --plain %s 0x%x" % ("" if limit is None else "--limit %d" % limit, address))
        lines.append("tm-traceback --json 0x%x" % address)
    return lines, places, probes


def check_probe(number, probe, text, json_text):
    limit = LIMITS[number % len(LIMITS)]
    head, title, *lines = text.split("\n")
    assert head.startswith("block at 0x") and title.startswith("Traceback (most recent call last")
    assert lines == [escape_detail(line) for line in probe["format"][str(limit)]] + [""]
    (block,) = json.loads(json_text)["blocks"]
    assert [[frame["filename"], frame["lineno"]] for frame in block["traceback"]] == probe["frames"]
    assert probe["total_nframe"] in (None, block["total_nframe"])


WAYS = [("gdb", "live"), ("lldb", "core"), ("lldb", "live"), ("gdb", "core")]


def compare(stopped, ways, found_by=None):
    lines, places, probes = all_lines(stopped)
    texts = {way: debuggers.answers(way[0], lines, **stopped.targets[way[1]]) for way in ways}
    own = stopped.answers()
    for way, given in texts.items():
        info = json.loads(given[0])
        assert way[0] != "gdb" or found_by in (None, info["found_by"]), way
        assert (info["blocks"], info["traced_memory"]) == (own["traces"][1], own["sizes"][1]), way
        assert info.get("lost_blocks", 0) == info.get("lost_frames", 0) == 0
        assert info["missing"]["first_address"] is None and info["missing"]["torn_records"] == 0
        for query, place, answer in zip(stopped.queries, places, own["answers"]):
            assert without_filters(given[place], query) == expected_text(query, answer), (way, query)
        plain = [answer for query, answer in zip(stopped.queries, own["answers"]) if not query["filters"]]
        assert len(plain) >= 2
        for query, answer, text in zip(plain_queries(stopped), plain, given[places[-1] + 2 : probes]):
            is_difference = query["command"] == "tm-diff"
            assert given_numbers(text, is_difference) == expected_numbers(answer, is_difference), (way, query)
        for number, probe in enumerate(own["probes"]):
            check_probe(number, probe, given[probes + 2 * number], given[probes + 2 * number + 1])
    return own


def try_seed(python, seed, objects, frames, folder, ways=WAYS, found_by=None, **options):
    stopped = Stopped(python, seed, objects, frames, folder, **options)
    with stopped.process:
        own = compare(stopped, ways, found_by)
    assert min(own["traces"]) >= objects
    assert set(own["domains"]) == {0} | set(DOMAINS)
    # The comparison included the strange names.
    strange = "".join(own["strange"])
    assert all(part in strange for part in ("\udc80", "\ud800", "\x1b", "\n", "\u4e2d", "\U0001f40d", "\u202e"))
    return own


def chosen():
    """The system's CPython, the oldest and the newest."""
    picked = {PYTHONS[0].path: PYTHONS[0], PYTHONS[-1].path: PYTHONS[-1]}
    picked.update((python.path, python) for python in PYTHONS if python.path.startswith("/usr/bin/"))
    return list(picked.values())


def name_of(python):
    return ".".join(map(str, python.version)) + ":" + python.path.strip("/").split("/")[0]


@light(lambda python, frames: is_newest(python) and frames == 25)
@pytest.mark.parametrize("frames, ways", [(1, WAYS[:2]), (25, WAYS[2:])], ids=["1-frame", "25-frames"])
@pytest.mark.parametrize("python", chosen(), ids=name_of)
def test_generated_programs(python, frames, ways, tmp_path):
    try_seed(python.path, 100 * frames + python.version[1], 500, frames, tmp_path, ways)


@light(lambda python: is_newest(python))
@pytest.mark.parametrize("python", PYTHONS, ids=name_of)
def test_generated_programs_under_cpythons_own_tracemalloc(python, tmp_path):
    minor = python.version[1]
    frames = (1, 25)[minor % 2]
    seed = 100 * frames + 11  # with this seed the program keeps more than it drops
    try_seed(python.path, seed, 100, frames, tmp_path, WAYS[:2] if minor % 4 < 2 else WAYS[2:], way="stock")


def build_id(python):
    notes = subprocess.run(["readelf", "-n", python], stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.search(r"Build ID: (\w+)", notes).group(1)


@pytest.fixture
def stripped():
    """Debian's interpreter and its build-id. Debuggers find the file of the debug package by the build-id."""
    path = os.path.realpath("/usr/bin/python3")
    if not os.path.exists(path) or b".symtab" in subprocess.run(["readelf", "-S", path], stdout=subprocess.PIPE).stdout:
        pytest.skip("no stripped interpreter in /usr/bin")
    return path, build_id(path)


def without_debug_package(stripped, folder):
    """A copy with another build-id, for which debuggers find no debug file."""
    path, known = stripped
    with open(path, "rb") as file:
        data = file.read()
    assert data.count(bytes.fromhex(known)) == 1
    copy = folder / os.path.basename(path)
    copy.write_bytes(data.replace(bytes.fromhex(known), bytes(20)))
    copy.chmod(0o755)
    return str(copy)


@light(lambda ways: ways == WAYS[:2])
@pytest.mark.parametrize("ways", [WAYS[:2], WAYS[2:]], ids=["gdb-live-lldb-core", "lldb-live-gdb-core"])
def test_a_stripped_python_without_its_debug_package(stripped, tmp_path, ways):
    copy = without_debug_package(stripped, tmp_path)
    try_seed(copy, 111, 100, 25, tmp_path, ways, queries=few_queries(tmp_path), found_by="search", way="stock")


@thorough
def test_a_stripped_python_with_its_debug_package(stripped, tmp_path):
    path, known = stripped
    if not os.path.exists("/usr/lib/debug/.build-id/%s/%s.debug" % (known[:2], known[2:])):
        pytest.skip("no debug package of %s" % path)
    try_seed(path, 111, 100, 1, tmp_path, queries=few_queries(tmp_path), found_by="symbol", way="stock")


@thorough
@pytest.mark.parametrize("way", ("tracer", "stock"))
def test_a_large_program(way, tmp_path):
    own = try_seed(PYTHONS[-1].path, 3, 15000, 25, tmp_path, clear=False, queries=few_queries(tmp_path), way=way)
    assert own["traces"][1] >= LARGEST


@pytest.mark.skipif("TM_ORACLE_LARGE" not in os.environ, reason="a longer run: set TM_ORACLE_LARGE")
@pytest.mark.parametrize("frames", (1, 25))
@pytest.mark.parametrize("python", PYTHONS, ids=pythons.name)
def test_a_large_program_under_cpythons_own_tracemalloc_in_every_way(python, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(debuggers, "PATIENCE", 3600)
    own = try_seed(python.path, 3, 15000, frames, tmp_path, clear=False, queries=few_queries(tmp_path), way="stock")
    assert own["traces"][1] >= LARGEST


@pytest.mark.skipif("TM_ORACLE_LARGE" not in os.environ, reason="a longer run: set TM_ORACLE_LARGE")
@pytest.mark.parametrize("frames", (1, 25))
def test_a_large_program_of_a_stripped_python_without_its_debug_package(frames, stripped, tmp_path, monkeypatch):
    monkeypatch.setattr(debuggers, "PATIENCE", 3600)
    copy, queries = without_debug_package(stripped, tmp_path), few_queries(tmp_path)
    own = try_seed(copy, 3, 15000, frames, tmp_path, clear=False, queries=queries, found_by="search", way="stock")
    assert own["traces"][1] >= LARGEST


SEEDS = int(os.environ.get("TM_ORACLE", 0))


@pytest.mark.skipif(not SEEDS, reason="a longer run: set TM_ORACLE to the number of seeds to try")
@pytest.mark.parametrize("python", PYTHONS if SEEDS else PYTHONS[:1], ids=name_of)
def test_more_seeds(python, tmp_path):
    for seed in range(1000, 1000 + SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try_seed(python.path, seed, 800, random.Random(seed).choice((1, 2, 5, 25, 100)), folder)
        for core in folder.glob("*.core"):
            core.unlink()
