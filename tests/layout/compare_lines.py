"""Compares the engine's line numbers with those of the CPython that runs this: `compare_lines.py LIBRARY`.

Compiles modules of the standard library and some odd pieces of source, and for each instruction of each code object
calls both PyCode_Addr2Line() and the library built from src/layout/lines.c. Prints how many code objects and
instructions it compared. Fails at the first difference.
"""

import ctypes
import glob
import os
import sys
import types

NONE, LNOTAB, PAIRS, LOCATIONS = range(4)
INSTRUCTIONS = 250000  # stop after so many

ODD_SOURCES = [
    "",
    "\n" * 70000 + "x = 1",  # deltas beyond every small encoding
    "x = 1\n" + "\n" * 300 + "y = (\n" + "\n" * 200 + "2)",
    "def f():\n    try:\n        return 1\n    finally:\n        g()\n",
    "def f(x):\n    while x:\n        with x:\n            if x: continue\n            break\n    else:\n        pass\n",
    "async def f():\n    async with a as b:\n        async for c in d:\n            yield [e async for e in c]\n",
    "f(a,\n  b(\n    c),\n\n\n  d)\n" * 50,  # lines that go back
    "x = [" + ",\n".join("[%d]" % i for i in range(1000)) + "]",  # one large code object
    "\n".join("x%d = f(%d)" % (i, i) for i in range(1000)),
    "x = " + "(" * 50 + "1" + "+ \\\n 1)" * 50,
    "lambda: (yield\n)\n",
]


class Lines(ctypes.Structure):
    """struct tm_lines."""

    _fields_ = [
        ("table", ctypes.c_char_p),
        ("length", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("first_line", ctypes.c_int32),
    ]


def kind_of_this_python():
    if sys.version_info < (3, 10):
        return LNOTAB
    return PAIRS if sys.version_info < (3, 11) else LOCATIONS


def line_table(code):
    return code.co_lnotab if sys.version_info < (3, 10) else code.co_linetable


def sources():
    for text in ODD_SOURCES:
        yield text, "odd"
    folder = os.path.dirname(os.__file__)
    for path in sorted(glob.glob(os.path.join(folder, "*.py"))) + sorted(glob.glob(os.path.join(folder, "*", "*.py"))):
        if "lib2to3" not in path and "site-packages" not in path and "test" not in path:
            with open(path, "rb") as file:
                yield file.read(), path


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def compare(code, ours, theirs):
    table = line_table(code)
    lines = ctypes.byref(Lines(table, len(table), kind_of_this_python(), code.co_firstlineno))
    reference = ctypes.py_object(code)
    offsets = [-1] + list(range(0, len(code.co_code), 2))  # since 3.6 instructions are pairs of bytes
    for offset in offsets:
        expected, actual = theirs(reference, offset), ours(lines, offset)
        # Both use negative numbers for "no line", but not always the same ones.
        if max(expected, -1) != max(actual, -1):
            raise SystemExit("%r at %d: line %d, not %d" % (code, offset, expected, actual))
    return len(offsets) - 1


def main(library):
    ours = ctypes.CDLL(library).tm_lines_at
    ours.restype, ours.argtypes = ctypes.c_int64, [ctypes.c_void_p, ctypes.c_int32]
    theirs = ctypes.pythonapi.PyCode_Addr2Line
    theirs.restype, theirs.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_int]
    objects = instructions = 0
    for text, path in sources():
        for code in code_objects(compile(text, path, "exec", dont_inherit=True)):
            instructions += compare(code, ours, theirs)
            objects += 1
        if instructions > INSTRUCTIONS:
            break
    print(objects, instructions)


if __name__ == "__main__":
    main(sys.argv[1])
