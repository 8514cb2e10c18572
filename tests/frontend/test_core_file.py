"""core_file on made-up ELF files: which files it refuses and why, and which bytes of memory it says they hold."""

import os
import random
import struct

import pytest
from tracemortem.debugger import core_file
from tracemortem.debugger.core_file import CoreError, CoreFile
from tracemortem.debugger.header import REGION_ABSENT, REGION_FILE
from tracemortem.debugger.memory import CoreMemory

PAGE = 4096


def elf(segments=(), kind=4, machine=62, word_size=2, byte_order=1, offset=64, entry_size=56, **more):
    """An ELF file whose program headers are `segments`: (start, memory size, bytes in the file, flags)."""
    count, sections, section_size = (more.get(key, 0) for key in ("count", "sections", "section_size"))
    header = struct.pack("<4s5B7x", b"\x7fELF", word_size, byte_order, 1, 0, 0)
    header += struct.pack("<HHIQQQIH", kind, machine, 1, 0, offset, sections, 0, 64)
    header += struct.pack("<HHHHH", entry_size, count or len(segments), section_size, 0, 0)
    where = 64 + 56 * len(segments)
    headers, body = b"", b""
    for start, memory_size, data, flags in segments:
        headers += struct.pack("<IIQQQQQQ", 1, flags, where + len(body), start, 0, len(data), memory_size, PAGE)
        body += data
    return header + headers + body


@pytest.fixture
def core(tmp_path):
    def make(data):
        path = tmp_path / "made.core"
        path.write_bytes(data)
        return CoreFile(str(path))

    return make


def refusal(make, data):
    with pytest.raises(CoreError) as caught:
        make(data)
    return str(caught.value)


def test_holds_exactly_the_bytes_that_the_file_has(core):
    made = core(elf([(0x10000, 3 * PAGE, b"x" * PAGE, 6), (0x40000, PAGE, b"", 4)]))
    assert made.holds(0x10000, PAGE) and made.holds(0x10FFF, 1) and made.holds(0x10001, PAGE - 1)
    assert not made.holds(0x10000, PAGE + 1)  # the segment goes on, the file does not
    assert not made.holds(0x11000, 1) and not made.holds(0xFFFF, 1) and not made.holds(0x40000, 1)
    assert [(s.start, s.end, s.held_end, s.readable, s.writable) for s in made.segments] == [
        (0x10000, 0x13000, 0x11000, True, True),
        (0x40000, 0x41000, 0x40000, True, False),
    ]
    assert made.missing == 0 and made.warning() is None


def test_a_read_may_cross_adjacent_segments_but_no_gap(core):
    made = core(elf([(start, PAGE, b"x" * PAGE, 6) for start in (0x11000, 0x10000, 0x13000)]))
    assert made.holds(0x10000, 2 * PAGE) and not made.holds(0x10000, 2 * PAGE + 1) and not made.holds(0x12FFF, 2)


def test_a_truncated_core_holds_what_is_left_and_says_so(core):
    whole = elf([(0x10000, PAGE, b"a" * PAGE, 6), (0x20000, 2 * PAGE, b"b" * 2 * PAGE, 6)])
    made = core(whole[: -PAGE - 100])
    assert made.holds(0x10000, PAGE) and made.holds(0x20000, PAGE - 100) and not made.holds(0x20000, PAGE - 99)
    assert made.missing == PAGE + 100
    assert "is truncated: %d bytes" % (PAGE + 100) in made.warning()


def test_why_a_byte_is_missing(core):
    whole = elf([(0x10000, 2 * PAGE, b"a" * PAGE, 6), (0x20000, PAGE, b"b" * PAGE, 6)])
    made = core(whole[:-100])
    assert "left out when the core was written" in made.why_missing(0x11000)
    assert "is cut short, 100 bytes" in made.why_missing(0x21000 - 100)
    # A read of 8 bytes from here finds some of them.
    assert "is cut short, 100 bytes" in made.why_missing(0x21000 - 104)
    assert "no such memory" in made.why_missing(0x12000) and "no such memory" in made.why_missing(0)


def note(kind, data, name=b"CORE\0\0\0\0", name_size=5):
    return struct.pack("<III", name_size, len(data), kind) + name + data + bytes(-len(data) % 4)


def with_notes(data):
    """An ELF file with a segment at 0x10000, another at 0x11000, and these notes at its end."""
    whole = elf([(0x10000, PAGE, b"a" * PAGE, 6), (0x11000, PAGE, b"b" * PAGE, 6), (0, 0, data, 0)])
    return whole[: 64 + 2 * 56] + struct.pack("<I", 4) + whole[64 + 2 * 56 + 4 :]


FILES_NOTE = struct.pack("<QQ3Q", 1, PAGE, 0x11000, 0x12000, 0) + b"/tmp/old.core\0"


def test_notes_say_which_process_and_what_was_mapped_from_files(core):
    made = core(with_notes(note(1, bytes(10)) + note(3, bytes(24) + struct.pack("<I", 77) + bytes(108))))
    assert made.process == 77 and [segment.is_file for segment in made.segments] == [False, False]
    made = core(with_notes(note(0x46494C45, FILES_NOTE)))
    assert made.process == 0 and [segment.is_file for segment in made.segments] == [False, True]
    assert [flags for _, _, flags, _ in CoreMemory(made).regions()] == [3, 3 | REGION_FILE]


def test_private_memory_is_what_is_no_part_of_a_file(core):
    shared = struct.pack("<QQ3Q", 1, PAGE, 0x11000, 0x12000, 0) + b"/dev/zero (deleted)\0"
    assert core(with_notes(b"")).private_bytes() == 2 * PAGE
    assert core(with_notes(note(0x46494C45, FILES_NOTE))).private_bytes() == PAGE
    assert core(with_notes(note(0x46494C45, shared))).private_bytes() == 2 * PAGE
    assert core(elf([(0x10000, PAGE, b"a" * PAGE, 4), (0x11000, 9 * PAGE, b"b" * 100, 6)])).private_bytes() == 100


def test_holes_of_a_sparse_core_are_no_private_memory(tmp_path, monkeypatch):
    path = tmp_path / "sparse.core"
    path.write_bytes(elf([(0x10000, 64 * PAGE, b"", 6)]))
    # The segment's data: 16 pages, a hole of 32, 16 pages.
    head = bytearray(path.read_bytes())
    struct.pack_into("<QQQ", head, 64 + 8, 16 * PAGE, 0x10000, 0)
    struct.pack_into("<Q", head, 64 + 32, 64 * PAGE)
    with open(path, "wb") as file:
        file.write(head)
        for at in (16, 64):
            file.seek(at * PAGE)
            file.write(b"x" * 16 * PAGE)
    found = CoreFile(str(path)).private_bytes()
    if os.stat(path).st_blocks * 512 >= 64 * PAGE:
        pytest.skip("this file system has no holes")
    assert found == 32 * PAGE
    monkeypatch.setattr(core_file, "MOST_HOLES", 1)
    assert CoreFile(str(path)).private_bytes() == 64 * PAGE  # a bound: the rest counts as data


def test_notes_may_be_anything(core):
    process, files = bytes(24) + struct.pack("<I", 77), FILES_NOTE
    for data in (
        note(3, process)[:-1],
        note(3, process[:-1]),
        note(0x46494C45, struct.pack("<QQ", 1 << 62, 0)),
        note(0x46494C45, files[:20]),
        note(0x46494C45, b""),
        struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 3),
        b"\xff" * 1000,
        b"",
    ):
        made = core(with_notes(data))
        assert made.process == 0 and not any(segment.is_file for segment in made.segments)


def test_many_segments_of_the_same_notes_are_not_all_read(core, monkeypatch):
    lengths = []

    class Counted(core_file.FileBytes):
        def read(self, offset, length):
            lengths.append(len(super().read(offset, length)))
            return super().read(offset, length)

    monkeypatch.setattr(core_file, "FileBytes", Counted)
    monkeypatch.setattr(core_file, "MOST_NOTES", 1000)
    notes = note(3, bytes(24) + struct.pack("<I", 77)) + note(1, bytes(600))
    data = elf([(0, 0, b"", 0)] * 500)
    entry = struct.pack("<IIQQQQQQ", 4, 4, len(data), 0, 0, len(notes), 0, 4)
    assert core(data[:64] + entry * 500 + notes).process == 77
    assert sum(lengths) == 64 + 500 * 56 + 1000


def test_a_core_of_more_segments_than_its_header_can_count(core):
    segments = [(0x10000, PAGE, b"a" * PAGE, 6), (0x20000, PAGE, b"b" * PAGE, 6)]
    data = elf(segments, count=0xFFFF, sections=64 + 56 * 2 + 2 * PAGE, section_size=64)
    made = core(data + struct.pack("<44xI16x", 2))
    assert [segment.start for segment in made.segments] == [0x10000, 0x20000]


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "is empty"),
        (b"#!/bin/sh\necho no core\n", "is not a core file"),
        (b"\x7fELF", "ends inside its ELF header"),
        (elf([(0, 1, b"x", 6)], kind=3), "is a program or a shared library, not a core file"),
        (elf([(0, 1, b"x", 6)], kind=1), "is an object file, not a core file"),
        (elf([(0, 1, b"x", 6)], kind=9), "another kind, not a core file"),
        (elf([(0, 1, b"x", 6)], word_size=1), "of another architecture: 32-bit"),
        (elf([(0, 1, b"x", 6)], byte_order=2), "of another architecture: big-endian"),
        (elf([]), "has no program headers"),
        (elf([(0, 1, b"x", 6)], entry_size=32), "program headers have 32 bytes"),
        (elf([(0, 1, b"x", 6)], offset=1 << 63), "has no program headers, or ends before them"),
        (elf([(0, 1, b"x", 6)])[:100], "has no program headers, or ends before them"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "is compressed by zstd"),
        (b"\x04\x22\x4d\x18" + bytes(100), "lz4 -d < "),
        (b"\xfd7zXZ\0" + bytes(100), "coredumpctl dump PID -o "),
    ],
)
def test_an_unusable_core_is_refused(core, data, words):
    assert words in refusal(core, data)


def test_a_path_that_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    for path, words in (("pipe", "not a regular file"), (".", "is a directory"), ("none", "No such file or directory")):
        with pytest.raises(CoreError) as caught:
            CoreFile(str(tmp_path / path))
        assert words in str(caught.value)


def test_another_machine_is_named(core):
    made = core(elf([(0x10000, PAGE, b"x" * PAGE, 6)], machine=183))
    made.require_machine(183)
    made.require_machine(None)
    with pytest.raises(CoreError) as caught:
        made.require_machine(62)
    assert "of another architecture: AArch64, not x86-64" in str(caught.value)


def test_absurd_numbers_do_no_harm(core):
    top = (1 << 64) - 1
    made = core(elf([(top - 10, top, b"x" * PAGE, 6), (0x1000, 0, b"", 6), (0x1000, top, b"y", 6)]))
    assert made.holds(0x1000, 1) and not made.holds(0x1000, 2)
    assert all(0 <= s.start <= s.held_end <= s.end <= 1 << 64 for s in made.segments)


def test_random_damage_is_refused_or_read_but_never_raises_anything_else(core):
    whole = elf([(0x10000 * n, 2 * PAGE, bytes(PAGE), 6) for n in range(1, 5)])
    generator = random.Random(20)
    for _ in range(2000):
        data = bytearray(whole[: generator.randrange(len(whole))] if generator.random() < 0.3 else whole)
        for _ in range(generator.randrange(1, 6)):
            if data:
                data[generator.randrange(min(len(data), 300))] = generator.choice((0, 255, generator.randrange(256)))
        try:
            made = core(bytes(data))
        except CoreError:
            continue
        assert sum(end - start for start, end in zip(made._starts, made._ends)) <= 4 * len(data)


def test_a_core_is_read_from_its_file_across_segments_and_not_past_them(core):
    made = core(elf([(0x12000, PAGE, b"c" * PAGE, 6), (0x10000, PAGE, b"a" * PAGE, 6), (0x11000, PAGE, b"b" * 10, 6)]))
    memory = CoreMemory(made)
    assert memory.read(0x10FFE, 4) == b"aabb" and memory.read(0x12000, PAGE) == b"c" * PAGE
    assert memory.read(0x11009, 1) == b"b" and memory.read(0x11009, 2) is None and memory.read(0x13000, 1) is None
    assert memory.regions() == [
        (0x10000, 0x11000, 3, b""),
        (0x11000, 0x1100A, 3, b""),
        (0x1100A, 0x12000, 3 | REGION_ABSENT, b""),
        (0x12000, 0x13000, 3, b""),
    ]
    assert memory.symbol("anything") == 0
    os.truncate(made.path, 500)  # after its headers were read
    assert memory.read(0x12000, PAGE) is None
