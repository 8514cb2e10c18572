"""Cores without some segments, some pages or their end: both debuggers show a part of the whole, and say why."""

import bisect
import os
import random
import signal
import struct

import asking
import cores
import debuggers
import pytest
import subsets
from selection import thorough

FULL = bool(os.environ.get("TM_TEST_FULL"))


def checked(debugger, whole, paths):
    """What whole.check() returns for each of these cores."""
    answers = asking.ask(debugger, [(path, subsets.QUESTIONS) for path in paths])
    assert not any(answer.opened.error for answer in answers), [answer.opened for answer in answers]
    return [whole.check(answer) for answer in answers]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_nothing_that_is_needed_is_in_pages_of_files(dumped, whole, tmp_path, debugger):
    core = dumped.segments.without(tmp_path / "core", dumped.segments.is_file)
    assert len(cores.Core(core).loads()) < len(dumped.segments.loads())
    (answers,) = asking.ask(debugger, [(core, subsets.QUESTIONS)])
    assert [answer.output for answer in answers[1:]] == whole.texts[1:]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_gcore_and_the_kernel_say_the_same(dumped, whole, debugger):
    questions = [(dumped.gcore, subsets.QUESTIONS), ((dumped.gcore, dumped.python), subsets.QUESTIONS)]
    for answers in asking.ask(debugger, questions + [((dumped.core, dumped.python), subsets.QUESTIONS)]):
        assert [answer.output for answer in answers[1:]] == whole.texts[1:]


WAYS = [("gdb", True), ("lldb", False), ("gdb", False), ("lldb", True)]


@pytest.mark.parametrize("debugger, named", WAYS if FULL else WAYS[:2])
def test_each_segment_may_be_missing(dumped, whole, tmp_path, debugger, named):
    held = [segment for segment in dumped.segments.loads() if segment.held and segment.flags & cores.PF_WRITE]
    if not FULL:  # the table's segments, and some others
        near = [segment for segment in held if abs(segment.start - whole.table) < 1 << 32]
        held = near[:6] + held[named :: len(held) // 2]
    paths = [
        dumped.segments.without(tmp_path / ("%d.core" % n), lambda segment, out=out: segment == out, named)
        for n, out in enumerate(held)
    ]
    rows = checked(debugger, whole, paths)
    assert None in rows and len(set(rows)) >= 3  # without the root; without leaves; without an unimportant one


ARRAYS, ARRAY_SIZE, CHUNKS, DIRECTORY = range(384, 1728, 224), 224, 16, 184  # in the root: docs/layout.md
SEEDS = range(3)


def chunks(dumped, whole):
    """[(address, array, chunk)] of the chunks of all arrays, sorted."""
    root = dumped.segments.read(whole.table, 2752)
    found = []
    for array, at in enumerate(ARRAYS):
        words = struct.iter_unpack("<Q", root[at + CHUNKS : at + ARRAY_SIZE])
        found += [(address, array, chunk) for chunk, (address,) in enumerate(words) if address]
    return sorted(found)


class Draw:
    """Chooses pages by what they hold: their addresses change with each start, and with them what is missing would."""

    def __init__(self, dumped, whole):
        self.segments = [(segment.start, number) for number, segment in enumerate(dumped.segments.loads())]
        self.chunks = chunks(dumped, whole)

    def name(self, address):
        """The last chunk that begins in this page or before it and in the same segment, or the segment; and how far from there."""
        start, *names = self.segments[bisect.bisect_left(self.segments, (address + 1,)) - 1]
        last = bisect.bisect_left(self.chunks, (address + cores.PAGE,)) - 1
        if last >= 0 and self.chunks[last][0] >= start:
            start, *names = self.chunks[last]
        return "%s+%d" % (names, (address - start) // cores.PAGE)

    def takes(self, seed, address, chance):
        return random.Random("%d %s" % (seed, self.name(address))).random() < chance


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_any_pages_may_be_missing(dumped, whole, tmp_path, debugger):
    chances = [0.02, 0.3, 0.9] if not FULL else [n / 20 for n in range(1, 20)]
    draw, paths = Draw(dumped, whole), []
    for seed in SEEDS:
        for chance in chances:

            def unwanted(address, _, seed=seed, chance=chance):
                # The root's own page stays, or nothing could be shown. lldb 19 aborts if a core lacks pages of the dynamic
                # linker ("LLVM ERROR: out of memory"), so for lldb only pages of the table are missing.
                near = debugger == "gdb" or abs(address - whole.table) < 1 << 32
                # A page that is missing from one core is missing from the seed's next one, too.
                return near and address != whole.table and draw.takes(seed, address, chance)

            paths.append(dumped.segments.without_pages(tmp_path / ("%s-%s.core" % (seed, chance)), unwanted))
    rows = checked(debugger, whole, paths)
    assert all(rows)
    by_seed = [rows[at : at + len(chances)] for at in range(0, len(rows), len(chances))]
    for seed, found in zip(SEEDS, by_seed):
        assert sorted(found, reverse=True) == found, "seed %d" % seed
    # A few pages hold what almost all tracebacks share, such as the program's main function: without one of these little
    # is left. No more than one of the seeds may have drawn one for the core that lacks the least.
    assert sorted(found[0][0] for found in by_seed)[1] > 1000, by_seed


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_pages_of_zeros_may_be_left_out(dumped, whole, tmp_path, debugger):
    core = dumped.segments.without_pages(tmp_path / "core", lambda at, data: not data.strip(b"\0"))
    ((rows, blocks),) = checked(debugger, whole, [core])
    # Zeros in the table hold no records: they count as missing, but no row is missing.
    assert (rows, blocks) == (len(whole.rows[subsets.LINES]) + len(whole.rows[subsets.TRACEBACKS]), len(whole.blocks))


def test_the_table_lies_below_what_the_kernel_places(dumped, whole):
    """So the table is at the beginning of a core."""
    (directory,) = struct.unpack_from("<Q", dumped.segments.read(whole.table, 2752), DIRECTORY)
    places = [directory] + [address for address, _, _ in chunks(dumped, whole)]
    places += [entry for (entry,) in struct.iter_unpack("<Q", dumped.segments.read(directory, 1 << 18)) if entry]
    libraries = min(start for start, _, _, path in dumped.segments.files() if ".so" in path)
    assert len(places) > 20 and max(places) < libraries and max(places) - min(places) < 1 << 30


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_core_cut_anywhere_gives_a_part(dumped, whole, tmp_path, debugger):
    if dumped.written_by != "kernel":
        pytest.skip("the kernel writes no cores here, and the debuggers open no part of a core of gcore")
    fractions = [0.003, 0.03, 0.1, 0.5, 0.9] if not FULL else [n / 100 for n in range(1, 100)]
    paths = [cores.cut(dumped.core, tmp_path / ("%s.core" % fraction), fraction) for fraction in fractions]
    rows = checked(debugger, whole, paths)
    # The table is at the beginning of the core: less than half of the core is enough for all rows.
    assert rows[0] is None or rows[0] < rows[-1]
    assert rows[-1] == rows[len(rows) // 2 + 1] and rows[-1][1] == len(whole.blocks)


def test_tm_diff_reads_a_core_that_no_debugger_opens(dumped, whole, tmp_path):
    """gcore writes the notes after the memory: gdb and lldb refuse a core of gcore that is cut."""
    core = cores.cut(dumped.gcore, tmp_path / "core", 0.9)
    diff = "tm-diff %s %s --json -n 1000000" % (dumped.core, core)
    for debugger in debuggers.DEBUGGERS:
        cut, other = asking.ask(debugger, [(core, ["tm-top"]), (dumped.core, [diff])])
        assert cut.opened.error and "no process and no core" in cut[0].error
        answer = subsets.parse(other[0].output)
        assert not any(row["size_diff"] or row["count_diff"] for row in answer["statistics"])
        assert answer["total_size"] == whole.totals[subsets.LINES][0]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_without_notes_the_memory_is_the_same(dumped, whole, tmp_path, debugger):
    paths = [dumped.segments.without_note(tmp_path / ("%d.core" % n), n) for n in (cores.NT_FILE, cores.NT_PRPSINFO)]
    paths.append(dumped.segments.write(tmp_path / "none.core", dumped.segments.loads()))
    for answers in asking.ask(debugger, [(path, subsets.QUESTIONS) for path in paths]):
        assert [answer.output for answer in answers[1:]] == whole.texts[1:]


# -- zeros that are not in the file


READ = {
    "gdb": "python print(bytes(gdb.selected_inferior().read_memory(%d, 64)).hex())",
    "lldb": "memory read --force -c 64 %d",
}


def test_zeros_which_a_debugger_makes_up_are_not_taken_for_data(dumped, whole, tmp_path):
    """The second half of the root's segment is not in the file: gdb reads zeros there, lldb fails, we report it."""
    (root,) = [s for s in dumped.segments.loads() if s.start <= whole.table < s.start + s.held]
    half = (whole.table - root.start + root.held) // 2 // cores.PAGE * cores.PAGE
    others = [segment for segment in dumped.segments.segments if segment != root]
    core = dumped.segments.write(tmp_path / "core", others + [root._replace(held=half)])
    end = root.start + half
    said = {}
    for debugger in debuggers.DEBUGGERS:
        (answers,) = asking.ask(debugger, [(core, [READ[debugger] % end] + subsets.QUESTIONS)])
        said[debugger] = answers[0]
        whole.check(answers[1:])
        assert subsets.parse(answers[2].output)["missing"]["unreadable_bytes"] > 0
    assert said["gdb"].output.strip() == "00" * 64 and said["lldb"].error


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_an_address_whose_slots_are_missing_is_not_said_to_be_untraced(dumped, whole, tmp_path, debugger):
    ask = "tm-traceback --json %#x" % dumped.object
    leaves = [s for s in dumped.segments.loads() if abs(s.start - whole.table) < 1 << 32 and s.held]
    paths = []
    for fraction in (0, 0.5):
        pick = random.Random(7)
        keep = [whole.table] if fraction else [s.start for s in leaves]
        paths.append(
            dumped.segments.without_pages(
                tmp_path / ("%s.core" % fraction),
                lambda at, data: fraction and at not in keep and pick.random() < fraction,
            )
        )
    known, doubtful = asking.ask(debugger, [(path, [ask]) for path in paths])
    (wanted,) = subsets.parse(known[0].output)["blocks"]
    if doubtful[0].error:
        assert "its record cannot be read" in doubtful[0].error
    else:
        assert subsets.parse(doubtful[0].output)["blocks"] == [wanted]


# -- coredump_filter


def filters():
    return range(0x80) if FULL else (0x00, 0x01, 0x33, 0x7E, 0x7F)


@pytest.fixture(scope="module")
def by_filter(dumped, python, tmp_path_factory):
    """{(writer, filter): (core, the answers for the process)}."""
    made, folder = {}, tmp_path_factory.mktemp("filters")
    with debuggers.start_traced_process(python, dumped.script, frames=10, folder=folder) as process:
        process.tell("%d" % len(filters()))
        children = [int(process.ready()) for _ in filters()]
        for number, child in zip(filters(), children):
            with open("/proc/%d/coredump_filter" % child, "w") as file:
                file.write("%#x" % number)
            said = debuggers.answers("gdb", subsets.QUESTIONS[1:3], pid=child)
            if number in (0x33, 0x7E):
                made["gdb", number] = debuggers.gcore(child, folder / ("%#04x.gdb.core" % number)), said
            if debuggers.kernel_writes_cores():
                path = folder / ("%#04x.core" % number)
                debuggers.take_kernel_core(folder, lambda: (os.kill(child, signal.SIGABRT), process.ready()), path)
                made["kernel", number] = path, said
    return made


@thorough
def test_every_coredump_filter_gives_all_or_says_why_not(by_filter):
    for debugger in debuggers.DEBUGGERS:
        questions = [(path, subsets.QUESTIONS[1:3]) for path, _ in by_filter.values()]
        for ((writer, number), (_, said)), answers in zip(by_filter.items(), asking.ask(debugger, questions)):
            if number & 1:  # anonymous private memory
                assert [answer.output for answer in answers] == said, (writer, hex(number))
            else:
                for answer in answers:
                    subsets.check_refusal(answer.error)
                    assert "coredump_filter" in answer.error
