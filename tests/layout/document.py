"""A reader of trace tables that knows only docs/layout.md: offsets, sizes and values come from the document's tables.

What the document says in prose (how to find a record in its chunks, how to split an address, how to decode a line
table) is written here a second time, independent of the engine and of the C header.
"""

import os
import re
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = os.path.join(ROOT, "docs", "layout.md")

Field = namedtuple("Field", "offset size signed")
Block = namedtuple("Block", "address size domain traceback")


def text():
    with open(PATH, encoding="utf-8") as file:
        return file.read()


def records():
    """The document's records: {name: (size, {field: Field})}. The size of a flexible field is text."""
    result = {}
    for name, size, body in re.findall(r"^### `struct (\w+)`, (\d+) bytes.*\n((?:(?!#).*\n)*)", text(), re.MULTILINE):
        rows = re.findall(r"^\| (\d+) \| ([^|]+) \| `(\w+)` \|([^|\n]*)\|$", body, re.MULTILINE)
        fields = {
            field: Field(int(offset), int(length) if length.isdigit() else length, meaning.strip().startswith("signed"))
            for offset, length, field, meaning in rows
        }
        assert len(fields) == len(rows), "a field of %s is documented twice" % name
        result[name] = int(size), fields
    return result


def meaning(record, field):
    """The text in the last column of a field's row."""
    body = re.search(r"^### `struct %s`.*\n((?:(?!#).*\n)*)" % record, text(), re.MULTILINE).group(1)
    return re.search(r"^\| \d+ \| [^|]+ \| `%s` \| (.*) \|$" % field, body, re.MULTILINE).group(1)


def constants():
    """The document's constants: {name: value as text}."""
    rows = re.findall(r"^\| `([A-Z]\w*)` \| ([^|]+) \|", text(), re.MULTILINE)
    result = {name: value.strip("`") for name, value in rows}
    assert len(result) == len(rows), "a constant is documented twice"
    return result


def example():
    """The worked example's text."""
    return re.search(r"^```text\n(.*?)^```", text(), re.MULTILINE | re.DOTALL).group(1)


def example_memory():
    """The worked example's memory: a function read(address, length), and the root's address."""
    parts = re.findall(r"^([0-9a-f]{12})\.\.([0-9a-f]{12})  (.*)$", example(), re.MULTILINE)
    maps = [(int(start, 16), bytearray(int(end, 16) - int(start, 16))) for start, end, _ in parts]

    def find(address, length):
        for start, content in maps:
            if start <= address and address + length <= start + len(content):
                return content, address - start
        raise LookupError("%#x: not in the example" % address)

    for address, row in re.findall(r"^([0-9a-f]{12})  ((?:[0-9a-f]{2} *)+)$", example(), re.MULTILINE):
        data = bytes.fromhex(row)
        content, at = find(int(address, 16), len(data))
        content[at : at + len(data)] = data

    def read(address, length):
        content, at = find(address, length)
        return bytes(content[at : at + length])

    return read, next(start for (start, _), (_, _, title) in zip(maps, parts) if title == "root")


def mix(number, word):
    number = (number ^ word) * 0x9E3779B97F4A7C15 % (1 << 64)
    return number ^ number >> 32


def begin(number):
    return mix(0x7472616365, number)


def content_hash(data):
    number = begin(len(data))
    for at in range(0, len(data), 8):
        number = mix(number, int.from_bytes(data[at : at + 8], "little"))
    return number


def code_hash(code, line_table):
    number = mix(content_hash(line_table), code["filename"] << 32 | code["qualname"])
    number = mix(number, code["first_line"] % (1 << 32) << 32 | code["code_length"])
    return mix(number, code["line_table_kind"])


def node_hash(number, node):
    words = (node["parent"] << 32 | node["code"], node["instruction"] % (1 << 32) << 32 | node["depth"])
    return mix(mix(begin(number), words[0]), words[1]) >> 48


def site_hash(number, site):
    allocator, flags = site["allocator_flags"] & 15, site["allocator_flags"] >> 4
    kind = site["total_frames"] << 16 | allocator << 8 | flags
    return mix(mix(begin(number), site["node"] << 32 | site["domain"]), kind) >> 32


def tracked_hash(number, tracked):
    number = begin(number)
    for word in (tracked["address"], tracked["size"], tracked["domain"] << 32 | tracked["site"]):
        number = mix(number, word)
    return number


def leaf_hash(number, leaf):
    return mix(mix(begin(number), leaf["start"]), leaf["units"])


class Table:
    """A trace table, read by `read(address, length)` from the root at `address`."""

    def __init__(self, read, address):
        self.read = read
        self.records = records()
        self.value = {name: int(value, 0) for name, value in constants().items() if re.fullmatch(r"\d\w*", value)}
        self.address = address
        self.root = self.record_at("tm_root", address)
        magic = bytes.fromhex(constants()["TM_MAGIC"])
        assert self.root["magic"] == magic and self.root["self"] == address
        assert self.root["byte_order"] == self.value["TM_BYTE_ORDER"]

    def record_at(self, name, address):
        """A record as {field: number, or bytes if it is longer than 8}."""
        size, fields = self.records[name]
        data = self.read(address, size)
        return {field: self.decode(data, place) for field, place in fields.items() if not isinstance(place.size, str)}

    @staticmethod
    def decode(data, place):
        part = data[place.offset : place.offset + place.size]
        return part if place.size not in (1, 2, 4, 8) else int.from_bytes(part, "little", signed=place.signed)

    def number(self, address, size):
        return int.from_bytes(self.read(address, size), "little")

    # -- arrays -------------------------------------------------------------------------------------------------------

    def array(self, name):
        return self.record_at("tm_array", self.address + self.records["tm_root"][1][name].offset)

    def place(self, array, number):
        """The address of a record of an array."""
        biased = number + (1 << array["first_shift"])
        log = biased.bit_length() - 1
        k = log - array["first_shift"]
        chunk = int.from_bytes(array["chunk"][8 * k : 8 * k + 8], "little")
        return chunk + (biased - (1 << log)) * array["record_size"]

    def copy_distance(self, array, number):
        """How far a record's copy is from the record; 0: it has none."""
        log = (number + (1 << array["first_shift"])).bit_length() - 1
        at = 8 * (log - array["first_shift"])
        chunk, copy = (int.from_bytes(array[name][at : at + 8], "little") for name in ("chunk", "copy"))
        return copy and copy - chunk

    def record(self, array_name, record_name, number):
        array = self.array(array_name)
        assert 0 < number < array["count"], (array_name, number)
        return self.record_at(record_name, self.place(array, number))

    def bytes(self, position, length):
        return self.read(self.place(self.array("bytes"), position), length) if length else b""

    def string(self, number):
        string = self.record("strings", "tm_string", number)
        data = self.bytes(string["position"], string["length"])
        assert content_hash(data) & 0xFFFFFFFF == string["hash"]
        return data.decode("utf-8", "surrogatepass")

    # -- tracebacks ---------------------------------------------------------------------------------------------------

    def traceback(self, node_number):
        """(file name, line, qualified name) of each frame, oldest first."""
        frames, depth = [], None
        while node_number:
            node = self.record("nodes", "tm_node", node_number)
            assert node_hash(node_number, node) == node["hash"]
            code = self.record("codes", "tm_code", node["code"])
            line = self.line(code, node["instruction"])
            frames.append((self.string(code["filename"]), line, self.string(code["qualname"])))
            assert depth in (None, node["depth"]) and node["depth"] > 0
            depth, node_number = node["depth"] - 1, node["parent"]
        assert depth == 0
        return frames[::-1]

    def line(self, code, instruction):
        table = self.bytes(code["line_table"], code["line_table_length"])
        assert code_hash(code, table) == code["hash"]
        kind = code["line_table_kind"]
        if instruction < 0 or kind == self.value["TM_LINES_NONE"]:
            return code["first_line"]
        if kind == self.value["TM_LINES_LNOTAB"]:
            return self.lnotab(table, code["first_line"], instruction)
        steps = self.pairs(table) if kind == self.value["TM_LINES_3_10"] else self.entries(table)
        line, address = code["first_line"], 0
        for length, delta in steps:
            line += delta or 0
            address += length
            if instruction < address:
                return None if delta is None else line
        return None

    @staticmethod
    def lnotab(table, line, instruction):
        address = 0
        for at in range(0, len(table), 2):
            address += table[at]
            if address > instruction:
                break
            line += table[at + 1] - (256 if table[at + 1] > 127 else 0)
        return line

    @staticmethod
    def pairs(table):
        for at in range(0, len(table), 2):
            delta = table[at + 1] - (256 if table[at + 1] > 127 else 0)
            yield table[at], None if delta == -128 else delta

    @staticmethod
    def entries(table):
        at = 0
        while at < len(table):
            form, length = table[at] >> 3 & 15, ((table[at] & 7) + 1) * 2
            delta = None if form == 15 else form - 10 if 10 <= form <= 12 else 0
            if form in (13, 14):
                number, shift, more = 0, 0, True
                at_byte = at
                while more:
                    at_byte += 1
                    number |= (table[at_byte] & 63) << shift
                    shift += 6
                    more = table[at_byte] & 64
                delta = -(number >> 1) if number & 1 else number >> 1
            yield length, delta
            at += 1
            while at < len(table) and not table[at] & 128:
                at += 1

    # -- blocks -------------------------------------------------------------------------------------------------------

    def unit_place(self, unit):
        """Where a unit's words are, by its number; 0: there is no leaf."""
        count, shift = self.value["TM_LEAF_UNITS"], self.root["unit_shift"]
        for number in range(1, self.array("leaves")["count"]):
            leaf = self.record("leaves", "tm_leaf", number)
            assert leaf_hash(number, leaf) == leaf["hash"]
            if leaf["start"] >> shift == unit // count * count:
                return leaf["units"] + unit % count * self.records["tm_unit"][0]
        return 0

    def words(self, unit):
        """The words of a unit's grid and list; 0: there is none."""
        place = self.unit_place(unit)
        if not place:
            return 0, 0
        words = self.record_at("tm_unit", place)
        copies = self.record_at("tm_unit", place + self.value["TM_LEAF_UNITS"] * self.records["tm_unit"][0])
        return words["grid"] or copies["grid"], words["list"] or copies["list"]

    def bits(self, word, name):
        """The part of a word for which the document has a shift and a mask."""
        shift = self.value.get("TM_%s_SHIFT" % name, 0)
        return word >> shift & self.value["TM_%s_MASK" % name]

    def is_checked_grid(self, unit, word):
        """Whether the word of a grid has the right check."""
        without = word & ~(self.value["TM_GRID_CHECK_MASK"] << self.value["TM_GRID_CHECK_SHIFT"])
        return self.bits(word, "GRID_CHECK") == mix(begin(unit), without) >> 53

    def slots(self, unit, word):
        """(start, size, site, the slot's address) of each block in a grid."""
        stride, phase = 16 * self.bits(word, "GRID_STRIDE"), 16 * self.bits(word, "GRID_PHASE")
        if not stride:
            return
        assert self.is_checked_grid(unit, word)
        array = self.bits(word, "GRID_ADDRESS")
        assert self.number(array, 8) == mix(begin(unit), word)
        shift = self.root["unit_shift"]
        count = ((1 << shift) - 1 - phase) // stride + 1
        data = self.read(array + self.value["TM_GRID_HEAD"], 4 * count)
        for index in range(count):
            slot = int.from_bytes(data[4 * index : 4 * index + 4], "little")
            size = self.bits(slot, "SLOT_SIZE") or (512 if stride == 512 else 0)
            if slot:
                place = array + self.value["TM_GRID_HEAD"] + 4 * index
                yield (unit << shift) + phase + index * stride, size, self.bits(slot, "SLOT_SITE"), place

    def entries_of(self, unit, word):
        """(start, size, site, the entry's address) of each block in a list, or in the list of a bucket."""
        if not word:
            return
        without = word & ~(self.value["TM_LIST_CHECK_MASK"] << self.value["TM_LIST_CHECK_SHIFT"])
        assert self.bits(word, "LIST_CHECK") == mix(begin(unit), without) >> 43
        address = self.bits(word, "LIST_ADDRESS")
        if word & self.value["TM_LIST_BUCKETS"]:
            for index in range(self.value["TM_LIST_BUCKET_COUNT"]):
                yield from self.entries_of(unit, self.number(address + 8 * index, 8))
            return
        for index in range(self.value["TM_LIST_ENTRIES"]):
            entry = self.number(address + 8 * index, 8)
            start = (unit << self.root["unit_shift"]) + 16 * self.bits(entry, "ENTRY_START")
            if entry:
                yield start, self.bits(entry, "ENTRY_SIZE"), self.bits(entry, "ENTRY_SITE"), address + 8 * index
        yield from self.entries_of(unit, self.record_at("tm_list_chunk", address)["next"])

    def blocks_of(self, unit):
        """(start, size, site, where it is recorded) of each block that starts in a unit."""
        grid, chunks = self.words(unit)
        return [*self.slots(unit, grid), *self.entries_of(unit, chunks)]

    def find(self, address):
        """The live block of the map that contains the address, or None."""
        shift = self.root["unit_shift"]
        for unit in range(address >> shift, max(0, (address >> shift) - (1 << 30 - shift)) - 1, -1):
            before = [block for block in self.blocks_of(unit) if block[0] <= address]
            if before:
                start, size, site, _ = max(before)
                return self.block(start, size, site) if address - start < size else None
            if address - (unit << shift) > 1 << 25:
                return None
        return None

    def find_tracked(self, domain, address):
        """The live block with this key that is outside of the map, or None."""
        mask = (1 << 64) - 1
        shift = self.record_at("tm_tracked_index", self.root["tracked_index"])["shift"]
        first = self.root["tracked_index"] + self.records["tm_tracked_index"][1]["slot"].offset
        h = (address ^ (domain << 32 | domain)) * 0x9E3779B97F4A7C15 & mask
        for probe in range(1 << shift):
            at = ((h ^ h >> 32) + probe) % (1 << shift)
            number = self.number(first + 4 * at, 4)
            if number == 0:
                return None
            if number == self.value["TM_TRACKED_REMOVED"]:
                continue
            record = self.record("tracked", "tm_tracked", number)
            if record["site"] and (record["domain"], record["address"]) == (domain, address):
                assert tracked_hash(number, record) == record["hash"]
                return self.block(address, record["size"], record["site"])
        return None

    def block(self, address, size, site_number):
        site = self.record("sites", "tm_site", site_number)
        assert site_hash(site_number, site) == site["hash"]
        return Block(address, size, site["domain"], self.traceback(site["node"]))
