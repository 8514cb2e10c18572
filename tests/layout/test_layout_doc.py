"""docs/layout.md says all that src/layout/trace_table.h says, and a reader needs only the document.

Strategy: a small C program, generated from the document's tables, prints the compiler's view of the header. The two are
compared, figure by figure. Nothing is missing from the document: the fields name every byte of a record, and every name
of the header is in a table. Then the document's own reader (document.py) follows the worked example, and reads a live
process.
"""

import os
import re
import subprocess
import sys

import document
import pytest

HEADER = os.path.join(document.ROOT, "src", "layout", "trace_table.h")
PACKAGE = os.path.join(document.ROOT, "build", "python")
# Macros that only the header itself uses.
NOT_LAYOUT = {"TRACEMORTEM_LAYOUT_TRACE_TABLE_H", "TM_PIN", "TM_PIN_SIZE"}
# What the document says in prose; its reader has it, too.
FORMULAS = {"TM_GRID_SLOTS"}
# A byte that the header divides into bits: the document's name of it, and the fields from the lowest bit on.
BITS = {"allocator_flags": ("allocator", "flags")}
TEXTS = {"TM_MAGIC", "TM_ROOT_SYMBOL", "TM_MAPPING_NAME"}

RECORDS = document.records()
CONSTANTS = document.constants()


def header():
    """The header without its comments."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", file.read(), flags=re.DOTALL)
    for byte, (low, high) in BITS.items():
        text, count = re.subn(r"uint8_t %s : 4;\s*uint8_t %s : 4;" % (low, high), "uint8_t %s;" % byte, text)
        assert count == 1
    return text


# Prints which byte the bits are in, and its size.
BITS_IN_C = """{
    const struct %(record)s bits = {.%(low)s = 3, .%(high)s = 5};
    for (size_t i = 0; i < sizeof bits; i++)
        if (((const unsigned char *)&bits)[i] == 0x53)
            printf("%(record)s.%(byte)s %%zu 1\\n", i);
}"""


def compile_and_run(folder, source):
    program = folder / "program"
    (folder / "program.c").write_text(source)
    command = ["gcc", "-std=gnu11", "-Wall", "-Werror", "-I", os.path.join(document.ROOT, "src")]
    subprocess.run(command + [str(folder / "program.c"), "-o", str(program)], check=True)
    return subprocess.run([str(program)], check=True, stdout=subprocess.PIPE).stdout.decode()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The compiler's view: {"tm_root": size, "tm_root.magic": (offset, size), "TM_RESIZES": value or text}."""
    lines = []
    for name, (_, fields) in RECORDS.items():
        lines.append('printf("%s %%zu\\n", sizeof(struct %s));' % (name, name))
        for field, place in fields.items():
            if field in BITS:
                lines.append(BITS_IN_C % {"record": name, "byte": field, "low": BITS[field][0], "high": BITS[field][1]})
                continue
            size = "sizeof ((struct %s *)0)->%s" % (name, field) if isinstance(place.size, int) else "(size_t)0"
            offset = "offsetof(struct %s, %s)" % (name, field)
            lines.append('printf("%s.%s %%zu %%zu\\n", %s, %s);' % (name, field, offset, size))
    for name in sorted(set(CONSTANTS) - TEXTS):
        lines.append('printf("%s %%llu\\n", (unsigned long long)%s);' % (name, name))
    for name in ("TM_ROOT_SYMBOL", "TM_MAPPING_NAME"):
        lines.append('printf("%s %%s\\n", %s);' % (name, name))
    lines.append('printf("TM_MAGIC ");')
    lines.append('for (int i = 0; i < TM_MAGIC_SIZE; i++) printf("%02x", (unsigned char)TM_MAGIC[i]);')
    source = '#include <stddef.h>\n#include <stdio.h>\n#include "layout/trace_table.h"\nint main(void)\n{\n%s\n}\n'
    output = compile_and_run(tmp_path_factory.mktemp("layout"), source % "\n".join(lines))
    return {words[0]: words[1:] for words in map(str.split, output.splitlines())}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_size_the_document_says(compiled, name):
    assert [str(RECORDS[name][0])] == compiled[name]


@pytest.mark.parametrize("name", RECORDS)
def test_fields_are_where_the_document_says(compiled, name):
    for field, place in RECORDS[name][1].items():
        size = place.size if isinstance(place.size, int) else 0
        assert [str(place.offset), str(size)] == compiled["%s.%s" % (name, field)], field


@pytest.mark.parametrize("name", RECORDS)
def test_fields_leave_no_byte_of_a_record_unnamed(name):
    end = 0
    for field, place in RECORDS[name][1].items():
        assert place.offset == end, field
        end += place.size if isinstance(place.size, int) else 0
    assert end == RECORDS[name][0]


def test_the_document_has_every_record_and_field_of_the_header():
    structs = dict(re.findall(r"\bstruct (\w+) \{(.*?)\};", header(), re.DOTALL))
    assert set(structs) == set(RECORDS)
    for name, body in structs.items():
        fields = re.findall(r"(\w+)(?:\[[^;]*\])?;", body)
        assert fields == list(RECORDS[name][1]), name


def test_the_document_has_every_constant_of_the_header():
    macros = set(re.findall(r"^#define (\w+)", header(), re.MULTILINE)) - NOT_LAYOUT - FORMULAS
    bodies = re.findall(r"\benum \w+ \{(.*?)\}", header(), re.DOTALL)
    enums = {name for body in bodies for name in re.findall(r"\bTM_\w+", body)}
    assert len(enums) > 10
    assert macros | enums == set(CONSTANTS)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_have_the_values_the_document_says(compiled, name):
    if name == "TM_MAGIC":
        assert [CONSTANTS[name].replace(" ", "")] == compiled[name]
    elif name in TEXTS:
        assert [CONSTANTS[name]] == compiled[name]
    else:
        assert [str(int(CONSTANTS[name], 0))] == compiled[name]


@pytest.mark.parametrize(
    "field, name",
    [
        ("layout_major", "TM_LAYOUT_MAJOR"),
        ("layout_minor", "TM_LAYOUT_MINOR"),
        ("address_bits", "TM_ADDRESS_BITS"),
    ],
)
def test_what_the_document_says_of_a_field_is_the_value_of_its_constant(field, name):
    assert document.meaning("tm_root", field).split()[0].rstrip(";:") == CONSTANTS[name]


def test_prose_counts_what_the_constants_count():
    text = document.text()
    assert re.findall(r"\| (\d+) addresses, one for each chunk", text) == [CONSTANTS["TM_ARRAY_CHUNKS"]]
    assert re.findall(r"\| (\d+) of `struct tm_resize`", text) == [CONSTANTS["TM_RESIZES"]]
    assert re.findall(r"at least (\d+) \|", text) == [str(RECORDS["tm_root"][0])]
    assert re.findall(r"\| (\d+) addresses, of the copies", text) == [CONSTANTS["TM_ARRAY_COPIES"]]
    assert re.findall(r"address of (\d+) of `struct tm_unit`", text) == [CONSTANTS["TM_LEAF_UNITS"]]
    assert re.findall(r"\| (\d+) entries \|", text) == [CONSTANTS["TM_LIST_ENTRIES"]]
    assert re.findall(r"at most (\d+) chunks", text) == [CONSTANTS["TM_LIST_CHUNKS"]]
    assert re.search(r"^# .* layout version (\S+)$", text, re.MULTILINE).group(1) == "%s.%s" % (
        CONSTANTS["TM_LAYOUT_MAJOR"],
        CONSTANTS["TM_LAYOUT_MINOR"],
    )


def test_numbers_are_signed_where_the_document_says(tmp_path):
    fields = [
        (name, field)
        for name, (_, places) in RECORDS.items()
        for field, place in places.items()
        if place.size in (1, 2, 4, 8) and field not in BITS
    ]
    line = 'printf("%%d\\n", (__typeof__(((struct %s *)0)->%s))-1 < 1);'
    source = '#include <stdio.h>\n#include "layout/trace_table.h"\nint main(void)\n{\n%s\n}\n'
    source = source % "\n".join(line % pair for pair in fields)
    output = compile_and_run(tmp_path, source)
    assert [pair for pair, sign in zip(fields, output.split()) if sign == "1"] == [
        (name, field) for name, field in fields if RECORDS[name][1][field].signed
    ]


# -- the worked example -----------------------------------------------------------------------------------------------


def test_the_worked_example_is_what_its_program_prints(tmp_path):
    with open(os.path.join(os.path.dirname(__file__), "example.c"), encoding="utf-8") as file:
        assert compile_and_run(tmp_path, file.read()) == document.example()


def test_the_worked_example_reads_as_the_document_says():
    table = document.Table(*document.example_memory())
    outer, inner = ("app.py", 8, "<module>"), ("app.py", 5, "load")
    assert table.find(0x55D0C0DE4300) == (0x55D0C0DE4280, 1001, 0, [outer, inner])
    assert table.find(0x55D0C0DE4668) == (0x55D0C0DE4280, 1001, 0, [outer, inner])
    assert table.find(0x55D0C0DE4669) is None
    assert table.find(0x55D0C0DE1250) == (0x55D0C0DE1240, 56, 0, [outer, inner])
    assert table.find(0x55D0C0DE1277) == (0x55D0C0DE1240, 56, 0, [outer, inner])
    assert table.find(0x55D0C0DE1278) is None
    assert table.find(0x55D0C0DE1680) == (0x55D0C0DE1680, 16, 0, [outer])
    assert table.find(0x55D0C0DE4270) is None
    assert table.find(0x55D0C0E00010) is None
    assert table.find_tracked(389047, 0x55D0C0E00010) == (0x55D0C0E00010, 8000, 389047, [outer, inner])
    assert table.find_tracked(389047, 0x55D0C0E00020) is None


def test_the_worked_example_names_only_addresses_that_it_shows():
    example, told = document.example(), document.text().split("```")[-1]
    shown = {int(address, 16) for address in re.findall(r"^([0-9a-f]{12}) ", example, re.MULTILINE)}
    table = {address for address in (int(word, 16) for word in re.findall(r"0x(7f5a[0-9a-f]{8})\b", told))}
    ranges = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"([0-9a-f]{12})\.\.([0-9a-f]{12})", example)]
    assert len(table) > 10
    for address in table:
        assert any(start <= address < end for start, end in ranges), hex(address)
        is_zero_row = address & ~15 not in shown
        assert not is_zero_row or "%#x is 0" % address in told or address in dict(ranges), hex(address)


# -- a live process ---------------------------------------------------------------------------------------------------

PROGRAM = """if 1:
    def make(n):
        return bytearray(n)
    import ctypes
    old = [make(1000) for i in range(3000)]
    del old
    small, large = make(100), make(1000000)
    print(id(small), ctypes.addressof(ctypes.c_char.from_buffer(large)), flush=True)
    input()
"""


def test_a_live_process_reads_by_the_document_alone():
    environment = dict(os.environ, PYTHONPATH=PACKAGE)
    command = [sys.executable, "-m", "tracemortem", "-f", "25", "-c", PROGRAM]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        small, large = map(int, process.stdout.readline().split())
        with open("/proc/%d/mem" % process.pid, "rb", buffering=0) as memory:

            def read(address, length):
                memory.seek(address)
                data = memory.read(length)
                assert len(data) == length, hex(address)
                return data

            table = document.Table(read, root_of(process.pid, read))
            traceback = [("<string>", 7), ("<string>", 3)]
            for at, address, size in (
                (small, small, bytearray.__basicsize__),
                (large, large, 1000001),
                (large + 900000, large, 1000001),
            ):
                block = table.find(at)
                assert (block.address, block.size, block.domain) == (address, size, 0)
                assert [frame[:2] for frame in block.traceback] == traceback
            assert table.root["pid"] == process.pid
            assert table.root["frame_limit"] == 25
            assert table.root["state"] == table.value["TM_STATE_TRACING"]
            assert table.root["python_version"] == sys.hexversion
    finally:
        process.communicate(b"\n", timeout=600)


def root_of(pid, read):
    """The multiples of TM_ROOT_ALIGN in writable anonymous memory where the magic is."""
    align, magic = int(CONSTANTS["TM_ROOT_ALIGN"]), bytes.fromhex(CONSTANTS["TM_MAGIC"])
    found = []
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps:
        for row in maps:
            span, rights, _, _, inode = row.split()[:5]
            start, end = (int(word, 16) for word in span.split("-"))
            if rights.startswith("rw") and inode == "0":
                first = -(-start // align) * align
                found += [at for at in range(first, end, align) if read(at, len(magic)) == magic]
    assert len(found) == 1
    return found[0]
