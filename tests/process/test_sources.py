"""A source file has the lines that linecache gives, or none: then linecache has none either, or the encoding is rare.

Strategy: made-up beginnings of files (byte order marks, coding lines, blank and other lines), each with several bodies, and
bytes drawn by chance; all are decoded by the C code and by this Python.
"""

import itertools
import linecache
import os
import random
import subprocess

import debuggers
import pytest
from selection import thorough

pytestmark = thorough

MARKS = [b"", b"\xef\xbb\xbf"]
FIRST = [
    b"",
    b"#!/usr/bin/python3\n",
    b"\n",
    b"  \t\x0c# a comment\r\n",
    b"import os\n",
    b"\xc3\xa9 = 1\n",
    b"# caf\xe9\n",
    b"\x0c",
]
CODINGS = [
    b"# -*- coding: %s -*-\n",
    b"#coding=%s\n",
    b"x = 1 # coding: %s\n",
    b"# vim:fileencoding=%s\r\n",
    b"#xcoding:\t%s",
]
NAMES = [
    b"utf-8",
    b"UTF-8",
    b"utf8",
    b"utf_8",
    b"utf-8-unix",
    b"utf-8-sig",
    b"latin-1",
    b"Latin1",
    b"iso-8859-1",
    b"ISO_8859-1-unix",
    b"iso-latin-1",
    b"iso-8859-15",
    b"iso8859_15",
    b"latin9",
    b"cp1252",
    b"windows-1252",
    b"ascii",
    b"us-ascii",
    b"646",
    b"nonsense",
    b"",
]
BODIES = [
    b"x = 1\r\ny = 2\rz = 3",
    b"\xe4\xa4\x80\n",
    b"\xc3\xa4\xe2\x82\xac\n",
    b"\x81\n",
    b"\xed\xa0\x80\n",
    b"a\x0cb\x1cc\x85\n",
]


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    """A function: the lines that the C code has of a file, or None."""
    program = tmp_path_factory.mktemp("show") / "show"
    source = os.path.join(debuggers.ROOT, "src")
    files = [
        "process/encoding.c",
        "engine/base/text.c",
        "engine/base/utf8.c",
        "engine/base/error.c",
        "engine/base/grow.c",
    ]
    here = os.path.join(os.path.dirname(__file__), "show_source.c")
    command = ["gcc", "-std=gnu11", "-I", source, "-o", str(program), here]
    subprocess.run(command + [os.path.join(source, file) for file in files], check=True)

    def lines(path):
        run = subprocess.run([str(program), str(path)], stdout=subprocess.PIPE)
        return run.stdout.decode() if run.returncode == 0 else None

    return lines


def check(show, path, data, rare=False):
    path.write_bytes(data)
    linecache.clearcache()
    expected = "".join(linecache.getlines(str(path)))
    got = show(path)
    if got is None:
        assert rare or expected == "", data
    else:
        assert (got if got.endswith("\n") or not got else got + "\n") == expected, data


def test_beginnings_of_files(show, tmp_path):
    path = tmp_path / "x.py"
    for mark, first in itertools.product(MARKS, FIRST):
        for body in BODIES:
            check(show, path, mark + first + body)
        chosen = CODINGS if not mark else CODINGS[:1]
        for number, (coding, name) in enumerate(itertools.product(chosen, NAMES)):
            check(show, path, mark + first + coding % name + BODIES[number % len(BODIES)])


@pytest.mark.parametrize("name", ["utf-8", "latin-1", "iso-8859-15", "cp1252", "ascii"])
def test_every_byte_of_an_encoding(show, tmp_path, name):
    path = tmp_path / "x.py"
    for byte in range(256):
        check(show, path, b"# coding: %s\nx = '%c'\n" % (name.encode(), byte))


def test_bytes_drawn_by_chance(show, tmp_path):
    draw = random.Random(5)
    pieces = [
        b"#",
        b"coding",
        b":",
        b"=",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"utf-8",
        b"latin-1",
        b"\xef\xbb\xbf",
        b"x",
        b"\xc3\xa9",
        b"\xff",
    ]
    for _ in range(400):
        check(show, tmp_path / "x.py", b"".join(draw.choices(pieces, k=draw.randrange(1, 12))))


def test_a_rare_encoding_has_no_line_and_never_a_wrong_one(show, tmp_path):
    for name in ("shift_jis", "koi8-r", "cp437", "utf-7", "big5"):
        check(show, tmp_path / "x.py", b"# coding: %s\nx = 1\n" % name.encode(), rare=True)
