"""The ctypes binding, debugger/header.py, repeats the engine's header: values, layouts, callbacks and functions.

The tests parse the header for what it declares. A C program that includes it prints the values, sizes and offsets that
the compiler sees. They fail if one side has a value, a field, a callback or a function that the other has not.
"""

import ctypes
import os
import re
import subprocess

import debuggers
import pytest
from tracemortem.debugger import header

SOURCE = os.path.join(debuggers.ROOT, "src")
PATH = os.path.join(SOURCE, "engine", "tracemortem.h")
ENUMS = {
    "tm_error_code": header.ErrorCode,
    "tm_operand": header.Operand,
    "tm_word_kind": header.WordKind,
    "tm_private_kind": header.PrivateKind,
    "tm_backing_kind": header.BackingKind,
    "tm_life": header.Life,
}
STRUCTS = {
    "tm_region": header.Region,
    "tm_thread": header.Thread,
    "tm_module": header.Module,
    "tm_screen": header.Screen,
    "tm_backing": header.Backing,
    "tm_target_callbacks": header.TargetCallbacks,
    "tm_host_callbacks": header.HostCallbacks,
}
CALLBACKS = {"tm_output_callback": header.OUTPUT_CALLBACK}
# The types of parameters and results that are no pointers. To ctypes, size_t and uint64_t are one type.
SIMPLE = {
    None: "void",
    ctypes.c_bool: "bool",
    ctypes.c_int: "int",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_uint64: "uint64_t",
}


class Header:
    """What the text of the header declares."""

    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
        self.macros = re.findall(r"^#define (TM_\w+) +\S", text, re.MULTILINE)
        text = re.sub(r"^#.*$", " ", text, flags=re.MULTILINE)
        text = " ".join(text.split())
        self.enums = {name: re.findall(r"(\w+) =", body) for name, body in re.findall(r"enum (\w+) \{(.*?)\};", text)}
        self.structs = {name: _fields(body) for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text)}
        self.callbacks = {
            name: _signature(result, parameters)
            for result, name, parameters in re.findall(r"typedef ([^;(]*)\(\*(\w+)\)\((.*?)\);", text)
        }
        self.functions = {
            name: _signature(result, parameters)
            for result, name, parameters in re.findall(r"TM_API ([^;(]*?)(\w+)\((.*?)\);", text)
        }


def _fields(body):
    """{name: signature of a callback, or None} of a struct."""
    fields = {}
    for field in filter(None, (part.strip() for part in body.split(";"))):
        callback = re.fullmatch(r"(.*?)\(\*(\w+)\)\((.*)\)", field)
        if callback:
            fields[callback.group(2)] = _signature(callback.group(1), callback.group(3))
        else:
            fields[re.sub(r"\[.*\]", "", field).split()[-1]] = None
    return fields


def _signature(result, parameters):
    """[kind of the result, kinds of the parameters...]"""
    return [_kind(result + " _")] + [_kind(parameter) for parameter in parameters.split(",") if parameter != "void"]


def _kind(declaration):
    """What a declaration "TYPE NAME" is in a register."""
    type_ = declaration.replace("const ", "").strip().rsplit(" ", 1)[0].strip()
    if "*" in declaration or type_ in CALLBACKS:
        return "pointer"
    return "int" if type_.startswith("enum ") else "uint64_t" if type_ == "size_t" else type_


def _kind_of(type_):
    """The same for a type of ctypes."""
    return SIMPLE.get(type_, "pointer")


@pytest.fixture(scope="module")
def declared():
    with open(PATH) as file:
        return Header(file.read())


@pytest.fixture(scope="module")
def compiled(declared, tmp_path_factory):
    """{C expression: its value} of all constants, and of the sizes and offsets of all structs."""
    expressions = [name for name in declared.macros if name != "TM_API"]
    expressions += [name for names in declared.enums.values() for name in names]
    for struct, fields in declared.structs.items():
        expressions.append("sizeof(struct %s)" % struct)
        for field in fields:
            expressions.append("offsetof(struct %s, %s)" % (struct, field))
            expressions.append("sizeof(((struct %s *)0)->%s)" % (struct, field))
    lines = ['printf("%%llu %s\\n", (unsigned long long)(%s));' % (text, text) for text in expressions]
    folder = tmp_path_factory.mktemp("header")
    program = '#include "engine/tracemortem.h"\n#include <stdio.h>\nint main(void)\n{\n%s\n}\n' % "\n".join(lines)
    (folder / "show.c").write_text(program)
    subprocess.run(["gcc", "-I", SOURCE, "-o", str(folder / "show"), str(folder / "show.c")], check=True)
    shown = subprocess.run([str(folder / "show")], stdout=subprocess.PIPE, check=True).stdout.decode()
    return {text: int(value) for value, text in (line.split(" ", 1) for line in shown.splitlines())}


def test_the_parser_finds_what_is_there(declared):
    """If it found nothing the other tests would check nothing."""
    with open(PATH) as file:
        text = file.read()
    assert len(declared.functions) == text.count("TM_API ") - text.count("#define TM_API")
    assert sum(len(names) for names in declared.enums.values()) == len(
        re.findall(r"^    TM_\w+ = ", text, re.MULTILINE)
    )
    assert sorted(declared.callbacks) == sorted(re.findall(r"typedef .*\(\*(\w+)\)", text))
    assert declared.structs["tm_region"].keys() == {"start", "end", "flags", "_padding", "name"}
    assert declared.structs["tm_host_callbacks"]["progress"] == ["void", "pointer", "pointer", "uint64_t", "uint64_t"]
    assert declared.functions["tm_request_needs_target"] == ["bool", "pointer"]


def test_enums_have_the_same_values(declared, compiled):
    assert ENUMS.keys() == declared.enums.keys()
    for name, ours in ENUMS.items():
        prefix = os.path.commonprefix(declared.enums[name])
        theirs = {constant[len(prefix) :]: compiled[constant] for constant in declared.enums[name]}
        assert {member.name: member.value for member in ours} == theirs, name


def test_macros_have_the_same_values(declared, compiled):
    ours = {"TM_" + name: getattr(header, name) for name in dir(header) if name.startswith("REGION_")}
    ours.update(TM_READ_LIMIT=header.READ_LIMIT, TM_THREAD_REGISTERS=header.THREAD_REGISTERS)
    ours.update(TM_BACKING_NOTE=header.BACKING_NOTE)
    assert ours == {name: compiled[name] for name in declared.macros if name != "TM_API"}


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_structs_have_the_same_layout(name, declared, compiled):
    ours = STRUCTS[name]
    assert STRUCTS.keys() == declared.structs.keys()
    assert [field for field, _ in ours._fields_] == list(declared.structs[name])
    assert ctypes.sizeof(ours) == compiled["sizeof(struct %s)" % name]
    for field, _ in ours._fields_:
        place = getattr(ours, field)
        assert place.offset == compiled["offsetof(struct %s, %s)" % (name, field)], field
        assert place.size == compiled["sizeof(((struct %s *)0)->%s)" % (name, field)], field


def test_callbacks_take_and_return_the_same(declared):
    for name, struct in STRUCTS.items():
        for field, type_ in struct._fields_:
            theirs = declared.structs[name][field]
            assert (_signature_of(type_) if theirs else None) == theirs, field
    assert {name: _signature_of(type_) for name, type_ in CALLBACKS.items()} == declared.callbacks


def _signature_of(callback):
    return [_kind_of(callback._restype_)] + [_kind_of(type_) for type_ in callback._argtypes_]


def test_functions_take_and_return_the_same(declared):
    ours = {name: [_kind_of(type_) for type_ in types] for name, types in header.FUNCTIONS.items()}
    assert ours == declared.functions
