"""The engine's answers compared with the standard library: fnmatch, linecache and tracemalloc.

The engine above src/engine/model/source.h is linked with the fake source of the cmocka tests, so that this file can put
in random snapshots. The output of the public API is compared, byte for byte, with that of the real classes for the same
traces.
"""

import ctypes
import fnmatch
import json
import linecache
import os
import random
import re
import subprocess
import sys
import tracemalloc
import warnings
from tracemalloc import DomainFilter, Filter, Snapshot, Statistic, StatisticDiff, Traceback

import pytest
import pythons
from selection import light, thorough

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
FAKE_SOURCE = "tests/engine/support/fake_source.o"

pytestmark = pytest.mark.skipif(
    not fnmatch.fnmatchcase("a", "[!b-a]"), reason="the fnmatch of this Python (%s) is older than 3.11's" % sys.version
)


class HostCallbacks(ctypes.Structure):
    """struct tm_host_callbacks"""

    SHOULD_STOP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)
    PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64)
    SOURCE_LINE = ctypes.CFUNCTYPE(
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)
    )
    SCREEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    _fields_ = [
        ("should_stop", SHOULD_STOP),
        ("write", WRITE),
        ("progress", PROGRESS),
        ("source_line", SOURCE_LINE),
        ("screen", SCREEN),
    ]


def encode(text):
    return text.encode("utf-8", "surrogatepass")


class Engine:
    """The library, one session of it, and the fake targets OLD and NEW."""

    def __init__(self, library):
        self.library = library
        self.output = b""
        self.line = None
        self.callbacks = HostCallbacks(
            HostCallbacks.SHOULD_STOP(lambda context: 0),
            HostCallbacks.WRITE(self._write),
            HostCallbacks.PROGRESS(0),
            HostCallbacks.SOURCE_LINE(self._source_line),
            HostCallbacks.SCREEN(0),
        )
        self.session = ctypes.c_void_p()
        assert not library.tm_session_create(ctypes.byref(self.callbacks), None, ctypes.byref(self.session))
        self.fakes = {}
        self.set_groups("old", [])
        self.set_groups("new", [])

    def close(self):
        self.library.tm_session_destroy(self.session)
        for fake in self.fakes.values():
            self.library.fake_destroy(fake)

    def _write(self, context, text, length):
        self.output += ctypes.string_at(text, length)

    def _source_line(self, context, name, line, may_differ):
        try:
            text = linecache.getline(name.decode("utf-8", "surrogatepass"), line)
        except UnicodeEncodeError:  # os.stat() refuses a surrogate that no file name can have
            return None
        self.line = ctypes.create_string_buffer(encode(text))
        return ctypes.addressof(self.line)

    def set_groups(self, name, groups):
        """Put in groups of blocks: (domain, size, count, frames in tracemalloc's order, most recent first)."""
        if name in self.fakes:
            self.library.fake_destroy(self.fakes[name])
        fake = self.fakes[name] = self.library.fake_create()
        for domain, size, count, frames in groups:
            names = [encode(file_name) for file_name, _ in reversed(frames)]
            self.library.fake_add_group(
                fake,
                domain,
                size,
                count,
                len(frames),
                len(frames),
                (ctypes.c_char_p * len(frames))(*names),
                (ctypes.c_uint32 * len(frames))(*map(len, names)),
                (ctypes.c_uint32 * len(frames))(*(line for _, line in reversed(frames))),
            )

    def run(self, command, line):
        """The output of one command line. OLD is the first core; NEW is the second core or the current target."""
        request = ctypes.c_void_p()
        self.output = b""
        self._check(self.library.tm_request_create(self.session, command.encode(), encode(line), ctypes.byref(request)))
        for index in range(self.library.tm_request_operands(request)):
            self.library.tm_request_set_target(request, index, self.fakes["old" if index == 0 else "new"])
        error = self.library.tm_request_run(request, self.fakes["new"])
        self.library.tm_request_destroy(request)
        self._check(error)
        return self.output.decode()

    def _check(self, error):
        if error:
            message = ctypes.c_char_p(self.library.tm_error_message(error)).value.decode()
            self.library.tm_error_destroy(error)
            raise AssertionError(message)


# The functions that this file calls. The rest of the engine is linked as far as they need it; the fake source replaces
# what is below model/source.h.
FUNCTIONS = (
    "tm_session_create tm_session_destroy tm_request_create tm_request_destroy tm_request_run tm_request_operands "
    "tm_request_set_target tm_error_message tm_error_destroy tm_pattern_create tm_pattern_matches tm_pattern_destroy "
    "tm_divide tm_source_line_may_begin"
).split()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("engine") / "libupper.so")
    subprocess.run(["make", "-s", "-C", ROOT, "open-engine"], check=True)
    wanted = ["-Wl,-u," + name for name in FUNCTIONS]
    inputs = [os.path.join(ROOT, "build", "open", name) for name in (FAKE_SOURCE, "libengine.a")]
    compiler = os.environ.get("CC", "cc").split()
    # The fake comes first, and is what counts.
    flags = ["-shared", "-Wl,-z,defs", "-Wl,-z,muldefs", "-o", path]
    subprocess.run(compiler + flags + wanted + inputs + ["-lz", "-lm"], check=True)
    result = ctypes.CDLL(path)
    pointer = ctypes.c_void_p
    for name in ("tm_session_create", "tm_request_create", "tm_request_run", "tm_pattern_create", "fake_create"):
        getattr(result, name).restype = pointer
    result.tm_error_message.restype = pointer
    result.tm_request_operands.restype = ctypes.c_size_t
    result.tm_pattern_matches.restype = result.tm_source_line_may_begin.restype = ctypes.c_bool
    result.tm_source_line_may_begin.argtypes = [ctypes.c_char_p, ctypes.c_size_t, pointer]
    result.tm_divide.restype = ctypes.c_double
    result.tm_divide.argtypes = [ctypes.c_uint64, ctypes.c_uint64]
    result.tm_error_message.argtypes = result.tm_error_destroy.argtypes = [pointer]
    result.tm_session_create.argtypes = [pointer, pointer, pointer]
    result.tm_session_destroy.argtypes = result.fake_destroy.argtypes = [pointer]
    result.tm_request_create.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p, pointer]
    result.tm_request_run.argtypes = [pointer, pointer]
    result.tm_request_operands.argtypes = result.tm_request_destroy.argtypes = [pointer]
    result.tm_request_set_target.argtypes = [pointer, ctypes.c_size_t, pointer]
    result.tm_pattern_create.argtypes = [ctypes.c_char_p, ctypes.c_size_t, pointer]
    result.tm_pattern_matches.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t]
    result.tm_pattern_destroy.argtypes = [pointer]
    result.fake_add_group.argtypes = [pointer, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64] + [
        ctypes.c_uint32,
        ctypes.c_uint32,
        pointer,
        pointer,
        pointer,
    ]
    return result


@pytest.fixture
def engine(library):
    result = Engine(library)
    yield result
    result.close()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Names of Python files with lines of all kinds, and of files that do not exist."""
    directory = tmp_path_factory.mktemp("sources")
    names = []
    for index, text in enumerate(
        (
            "import os\n\n    x = 1\t# a tab\n\t\n\u00a0\u3000y = 2\u2003\nlast without newline",
            "# coding: latin-1\n\xe9 = 1\n" + "\n".join("line_%d()" % i for i in range(50)),
            "",
            "\x0cpage = 1\n\x1c\n  both  \r\nends\r\n",
        )
    ):
        path = directory / ("module_%d.py" % index)
        path.write_bytes(text.encode("latin-1" if "latin-1" in text else "utf-8"))
        names.append(str(path))
    return names + [
        str(directory / "gone.py"),
        str(directory / "old.pyc"),
        "<string>",
        "<unknown>",
        "relative/app.py",
        "caf\xe9/\u4e2d\U0001f40d.py",
        "caf\xe9/\uffee.py",
        "",
    ]


def escaped(text):
    """The engine's escaping of the target's text, written a second time."""
    return re.sub(
        "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
        lambda match: repr(match.group())[1:-1],
        text,
    )


# ----------------------------------------------------------------------------------------------------------------
# fnmatch


def random_text(rng, alphabet, length):
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(length)))


def engine_matches(library, pattern, names):
    handle = ctypes.c_void_p()
    assert not library.tm_pattern_create(encode(pattern), len(encode(pattern)), ctypes.byref(handle))
    results = [library.tm_pattern_matches(handle, encode(name), len(encode(name))) for name in names]
    library.tm_pattern_destroy(handle)
    return results


@light(lambda name_alphabet: "\xe9" in name_alphabet)
@pytest.mark.parametrize(
    "pattern_alphabet, name_alphabet",
    [
        ("ab*?", "ab"),
        ("ab*?[]!-", "ab-!"),
        ("ab[]!-^", "ab-!^[]"),
        ("[]-!abc", "abc-!]["),
        ("[]!-^\\&|~#.()+$\n*?a", "[]!-^\\&|~#.()+$\na"),
        ("\xe9\u4e2d\U0001f40d\udc80\uffff[]-!*?", "\xe9\u4e2d\U0001f40d\udc80\uffff-!"),
    ],
)
def test_patterns_match_as_those_of_fnmatch(library, pattern_alphabet, name_alphabet):
    rng = random.Random(ascii(pattern_alphabet))
    matched = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `re` warns of sets inside sets
        for _ in range(20000):
            pattern = random_text(rng, pattern_alphabet, 12)
            if rng.random() < 0.5:
                pattern = "[" + pattern + "]" + random_text(rng, pattern_alphabet, 4)
            names = [random_text(rng, name_alphabet, 6) for _ in range(8)] + list(name_alphabet)
            match = re.compile(fnmatch.translate(pattern)).match
            expected = [match(name) is not None for name in names]
            assert engine_matches(library, pattern, names) == expected, (pattern, names)
            matched += sum(expected)
    assert matched > 5000


# ----------------------------------------------------------------------------------------------------------------
# Rows


def random_number(rng, bits):
    """A size of any magnitude, often near a limit."""
    value = rng.getrandbits(rng.randrange(1, bits + 1))
    if rng.random() < 0.3:
        value = rng.choice((10, 100, 1, 0.05, 99.95, 10240)) * 1024 ** rng.randrange(0, 5)
        value = int(value) + rng.randrange(-3, 4)
    return max(0, min(value, 2**bits - 1))


def test_rows_are_str_of_statistic(engine):
    rng = random.Random(1)
    groups = []
    for line in range(40000):
        size = random_number(rng, 63)
        count = rng.choice((0, 1, 2, 3, 7, rng.randrange(1, 100), random_number(rng, 63)))
        groups.append((0, size, count, (("/app.py", line),)))
    engine.set_groups("new", groups)
    rows = [Statistic(Traceback(frames), size, count) for _, size, count, frames in groups]
    rows.sort(reverse=True, key=Statistic._sort_key)
    output = engine.run("tm-top", "-n %d" % len(rows)).splitlines()
    assert output[:-1] == list(map(str, rows))


def test_rows_are_str_of_statistic_diff(engine):
    rng = random.Random(2)
    sides = {"old": {}, "new": {}}
    for line in range(30000):
        for side in sides.values():
            if rng.random() < 0.8:
                frames = (("/app.py", line),)
                size, count = random_number(rng, 40), rng.randrange(20)
                side[Traceback(frames)] = Statistic(Traceback(frames), size, count)
    for name, side in sides.items():
        engine.set_groups(name, [(0, s.size, s.count, tuple(f._frame for f in s.traceback)) for s in side.values()])
    rows = tracemalloc._compare_grouped_stats(dict(sides["old"]), dict(sides["new"]))
    rows.sort(reverse=True, key=StatisticDiff._sort_key)
    output = engine.run("tm-diff", "old.core -n %d" % len(rows)).splitlines()
    assert output[:-1] == list(map(str, rows))


def test_division_is_that_of_python(library):
    rng = random.Random(3)
    for _ in range(100000):
        a, b = rng.getrandbits(rng.randrange(1, 65)), rng.getrandbits(rng.randrange(1, 65))
        if rng.random() < 0.3:  # near the middle between two doubles
            a = (rng.getrandbits(54) * 2 + 1) * max(b, 1) // 2 % 2**64
        if b:
            assert library.tm_divide(a, b) == a / b, (a, b)


# ----------------------------------------------------------------------------------------------------------------
# Whole snapshots


def random_snapshot(rng, sources, traces):
    """(the real Snapshot, the same traces as groups)"""
    stacks = []
    for _ in range(max(1, traces // 4)):
        depth = rng.choice((1, 1, 2, 3, 8))
        stacks.append(tuple((rng.choice(sources), rng.randrange(0, 9)) for _ in range(depth)))
    blocks = []
    for _ in range(traces):
        stack = rng.choice(stacks)
        size = rng.choice((0, 16, 16, 100, rng.randrange(1, 5000), rng.randrange(1, 3000000)))
        blocks.append((rng.choice((0, 0, 0, 7, 389047)), size, stack, rng.choice((len(stack), len(stack) + 9))))
    groups = {}
    for domain, size, stack, _ in blocks:
        # Sites differ in more than rows show, so some groups are split in two.
        key = (domain, stack, rng.randrange(2))
        total, count = groups.get(key, (0, 0))
        groups[key] = (total + size, count + 1)
    return Snapshot(blocks, 25), [(key[0], size, count, key[1]) for key, (size, count) in groups.items()]


def kib(size, sign=""):
    return ("%" + sign + ".1f KiB") % (size / 1024)


def detail(row, key):
    """The lines below a row."""
    if key == "traceback":
        return [escape_line(line) for line in row.traceback.format()]
    if key == "lineno":
        frame = row.traceback[0]
        line = linecache.getline(frame.filename, frame.lineno).strip()
        return ["    " + escape_line(line)] if line else []
    return []


def escape_line(text):
    return "\t".join(escaped(part) for part in text.split("\t"))


def pretty_top(rows, key, limit, whole=None):
    """`whole`: if the rows overlap, others that do not."""
    lines = []
    for row in rows[:limit]:
        lines += [escaped(str(row))] + detail(row, key)
    other = rows[limit:]
    if other:
        lines.append("%s other" % len(other))
        if whole is None:
            lines[-1] += ": %s" % kib(sum(row.size for row in other))
    lines.append("Total allocated size: %s" % kib(sum(row.size for row in (rows if whole is None else whole))))
    return lines


def pretty_diff(rows, key, limit, whole=None):
    lines = []
    for row in rows[:limit]:
        lines += [escaped(str(row))] + detail(row, key)
    other = rows[limit:]

    def both(some):
        return "%s (%s)" % (kib(sum(row.size for row in some)), kib(sum(row.size_diff for row in some), "+"))

    if other:
        lines.append("%s other" % len(other) + (": %s" % both(other) if whole is None else ""))
    lines.append("Total allocated size: %s" % both(rows if whole is None else whole))
    return lines


def random_filters(rng, sources):
    """(options, the same filters as objects)"""
    options, filters = [], []
    all_frames = rng.random() < 0.5
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        kind = rng.choice(("--include", "--exclude", "--domain"))
        if kind == "--domain":
            domain = rng.choice((0, 7, 8))
            options.append("--domain %d" % domain)
            filters.append(DomainFilter(True, domain))
            continue
        pattern = rng.choice(
            ("*", "*.py", "*.pyc", "*/module_[01].*", "<*>", "<unknown>", "*\xe9*", "relative/app.pyc")
        )
        line = rng.choice((None, None, rng.randrange(9)))
        options.append("%s '%s%s'" % (kind, pattern, "" if line is None else ":%d" % line))
        filters.append(Filter(kind == "--include", pattern, line, all_frames))
    rng.shuffle(options)
    if all_frames:
        options.insert(rng.randrange(len(options) + 1), "--all-frames")
    return " ".join(options), filters


def without_notes(output):
    return [line for line in output.split("\n")[:-1] if not line.startswith("filters: ")]


KEYS = [("lineno", False), ("filename", False), ("traceback", False), ("lineno", True), ("filename", True)]


@pytest.mark.parametrize("key, cumulative", KEYS)
def test_top_is_the_pretty_top_of_tracemalloc(engine, sources, key, cumulative):
    rng = random.Random(key + str(cumulative))
    for _ in range(60):
        snapshot, groups = random_snapshot(rng, sources, rng.choice((0, 1, 5, 50, 400)))
        engine.set_groups("new", groups)
        options, filters = random_filters(rng, sources)
        limit = rng.choice((0, 1, 10, 1000))
        rows = (
            snapshot.filter_traces(filters).statistics(key, cumulative)
            if filters
            else (snapshot.statistics(key, cumulative))
        )
        whole = snapshot.filter_traces(filters).statistics(key) if cumulative else None
        line = "%s %s %s -n %d --plain" % (options, key, "--cumulative" * cumulative, limit)
        assert without_notes(engine.run("tm-top", line)) == pretty_top(rows, key, limit, whole), line
        check_top_json(json.loads(engine.run("tm-top", line + " --json")), rows, key, limit, whole)


def check_frames(row, statistic, key):
    assert [(f["filename"], f["lineno"]) for f in row["traceback"]] == [f._frame for f in statistic.traceback]
    if key != "traceback":
        assert (row["filename"], row["lineno"]) == statistic.traceback[0]._frame


def check_top_json(answer, rows, key, limit, whole):
    assert (answer["key"], answer["limit"]) == (key, limit)
    assert len(answer["statistics"]) == len(rows[:limit])
    for row, statistic in zip(answer["statistics"], rows):
        check_frames(row, statistic, key)
        assert (row["size"], row["count"]) == (statistic.size, statistic.count)
    other = rows[limit:]
    assert answer["other"] == {
        "statistics": len(other),
        "size": sum(row.size for row in other) if whole is None else None,
        "count": sum(row.count for row in other) if whole is None else None,
    }
    each = rows if whole is None else whole
    assert answer["total_size"] == sum(row.size for row in each)
    assert answer["total_count"] == sum(row.count for row in each)


@pytest.mark.parametrize("key, cumulative", KEYS)
def test_diff_is_compare_to_of_tracemalloc(engine, sources, key, cumulative):
    rng = random.Random(key + str(cumulative))
    for _ in range(40):
        old, old_groups = random_snapshot(rng, sources, rng.choice((0, 1, 5, 50, 400)))
        new, new_groups = random_snapshot(rng, sources, rng.choice((0, 1, 5, 50, 400)))
        if rng.random() < 0.5:  # often the same traces
            new = Snapshot(list(old.traces._traces)[::2] + list(new.traces._traces)[:20], 25)
            new_groups = [(domain, size, 1, stack) for domain, size, stack, _ in new.traces._traces]
        engine.set_groups("old", old_groups)
        engine.set_groups("new", new_groups)
        options, filters = random_filters(rng, sources)
        if filters:
            old, new = old.filter_traces(filters), new.filter_traces(filters)
        limit = rng.choice((0, 1, 10, 1000))
        rows = new.compare_to(old, key, cumulative)
        whole = new.compare_to(old, key) if cumulative else None
        line = "old.core %s new.core %s %s -n %d --plain" % (options, key, "--cumulative" * cumulative, limit)
        assert without_notes(engine.run("tm-diff", line)) == pretty_diff(rows, key, limit, whole), line
        answer = json.loads(engine.run("tm-diff", line + " --json"))
        assert len(answer["statistics"]) == len(rows[:limit])
        for row, statistic in zip(answer["statistics"], rows):
            check_frames(row, statistic, key)
            for name in ("size", "size_diff", "count", "count_diff"):
                assert row[name] == getattr(statistic, name)
        assert answer["total_size_diff"] == sum(row.size_diff for row in (rows if whole is None else whole))
        wanted = sum(row.count_diff for row in rows[limit:]) if whole is None else None
        assert answer["other"]["count_diff"] == wanted


def test_session_filters_are_applied_before_those_of_the_command(engine, sources):
    rng = random.Random(7)
    for _ in range(40):
        snapshot, groups = random_snapshot(rng, sources, 100)
        engine.set_groups("new", groups)
        pattern, line = rng.choice(("*.py", "*/module_*", "<*")), rng.choice((None, 3))
        inclusive, all_frames = rng.random() < 0.5, rng.random() < 0.5
        domain = rng.choice((None, 0, 7))
        engine.run(
            "tm-filter",
            "add '%s%s' %s %s %s"
            % (
                pattern,
                "" if line is None else ":%d" % line,
                "" if inclusive else "--exclude",
                "--all-frames" if all_frames else "",
                "" if domain is None else "--domain %d" % domain,
            ),
        )
        snapshot = snapshot.filter_traces([Filter(inclusive, pattern, line, all_frames, domain)])
        options, filters = random_filters(rng, sources)
        if filters:
            snapshot = snapshot.filter_traces(filters)
        rows = snapshot.statistics("lineno")
        assert without_notes(engine.run("tm-top", options + " --plain")) == pretty_top(rows, "lineno", 10), options
        engine.run("tm-filter", "clear")


def test_names_come_out_of_json_as_they_went_in(engine):
    rng = random.Random(8)
    alphabet = [chr(c) for c in range(1, 0x180)] + list(
        '"\\\u2028\u202e\ud800\udc80\udfff\ufeff\uffff\U0001f40d\U0010ffff'
    )
    names = set()
    while len(names) < 3000:
        name = random_text(rng, alphabet, 12)
        # JSON reads a pair of surrogates as one character.
        if not re.search("[\ud800-\udbff][\udc00-\udfff]", name):
            names.add(name)
    engine.set_groups("new", [(0, 1, 1, ((name, 1),)) for name in names])
    output = engine.run("tm-top", "-n 5000 --json")
    assert output.isascii() and output.count("\n") == 1
    assert {row["filename"] for row in json.loads(output)["statistics"]} == names


def test_text_is_one_line_a_row_and_valid_utf_8(engine):
    rng = random.Random(9)
    alphabet = [chr(c) for c in range(1, 0x180)] + list("\u2028\u202e\u2066\ud800\udc80\U0001f40d")
    names = {random_text(rng, alphabet, 12) for _ in range(3000)}
    engine.set_groups("new", [(0, 1, 1, ((name, 123456),)) for name in names])
    rows = [Statistic(Traceback(((name, 123456),)), 1, 1) for name in names]
    rows.sort(reverse=True, key=Statistic._sort_key)
    output = engine.run("tm-top", "-n 5000").split("\n")
    assert output[:-2] == [escaped(str(row)) for row in rows]


# -- the beginnings of functions, of which tracemalloc knows nothing

# Prints (file, [(first line, name), ...]) for each module of the standard library, tests of syntax among them.
LIST_CODES = """
import json, os, sysconfig, warnings
warnings.simplefilter("ignore")
def visit(code):
    yield code.co_firstlineno, getattr(code, "co_qualname", code.co_name)
    for inner in code.co_consts:
        if type(inner) is type(code):
            yield from visit(inner)
for folder, folders, names in os.walk(sysconfig.get_paths()["stdlib"]):
    folders[:] = [name for name in folders if name != "site-packages"]
    for path in [os.path.join(folder, name) for name in names if name.endswith(".py")]:
        try:
            code = compile(open(path, "rb").read(), path, "exec")
        except (SyntaxError, ValueError):
            continue
        print(json.dumps([path, list(visit(code))]))
"""


def may_begin(library, function, line):
    """What the engine says of a line and a function's name."""
    name = encode(function)
    struct = ctypes.create_string_buffer(len(name).to_bytes(4, "little") + name)  # struct tm_name
    text = encode(line)
    return library.tm_source_line_may_begin(text, len(text), ctypes.addressof(struct))


@thorough
@pytest.mark.parametrize("python", pythons.find(), ids=pythons.name)
def test_no_function_of_the_standard_library_seems_to_begin_elsewhere(library, python):
    listed = subprocess.run([python.path, "-c", LIST_CODES], stdout=subprocess.PIPE, check=True).stdout.splitlines()
    asked = shifted = noticed = 0
    for path, codes in map(json.loads, listed):
        for first, function in codes:
            asked += 1
            line, next_line = (linecache.getline(path, number) for number in (first, first + 1))
            assert may_begin(library, function, line), (path, first, function, line)
            if function.rpartition(".")[2].isidentifier():
                shifted += 1
                noticed += not may_begin(library, function, next_line)
        linecache.clearcache()
    # It is no use if everything may be the beginning: the line below is only for decorated functions.
    assert asked > 20000 and noticed > 0.8 * shifted
