"""An interpreter which keeps a field elsewhere than its version should is refused, and its program runs on untraced.

The build of an unknown micro release is played by a library which changes what a real interpreter tells of itself, before
the tracer looks.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402

MOVED = r"""
#include <stdint.h>
#include <string.h>
struct member { const char *name; int type; long offset; int flags; const char *doc; };
extern char PyCode_Type[], PyFrame_Type[];
extern uint64_t _PyRuntime[];
#pragma weak PyCode_Type
#pragma weak PyFrame_Type
#pragma weak _PyRuntime
static void move(char *type, const char *name)
{
    struct member *member = *(struct member **)(type + 240);
    while (strcmp(member->name, name) != 0)
        member++;
    member->offset += 8;
}
__attribute__((constructor)) static void change(void)
{
    if (PyCode_Type != 0) { CHANGE; }
}
"""


def said_of(python, folder, change):
    source, library = folder / "moved.c", folder / "moved.so"
    source.write_text(MOVED.replace("CHANGE", change))
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    variables = dict(os.environ, LD_PRELOAD="%s %s" % (debuggers.TRACER, library), TRACEMORTEM="5")
    run = subprocess.run(
        [python.path, "-c", "print('ran')"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=debuggers.PATIENCE,
    )
    assert (run.returncode, run.stdout) == (0, "ran\n")
    return run.stderr


PYTHONS = pythons.find()


@pytest.mark.parametrize("python", PYTHONS, ids=pythons.name)
def test_a_moved_field_of_code_objects_is_noticed_before_the_first_frame(python, tmp_path):
    assert said_of(python, tmp_path, "(void)0") == ""
    said = said_of(python, tmp_path, 'move(PyCode_Type, "co_filename")')
    assert len(said.splitlines()) == 1 and "untraced" in said and "as its version should" in said


@pytest.mark.parametrize("python", [p for p in PYTHONS if not (3, 11) <= p.version < (3, 13)], ids=pythons.name)
def test_a_moved_field_of_frames_is_noticed_before_the_first_frame(python, tmp_path):
    if python.version < (3, 11):
        change = 'move(PyFrame_Type, "f_back")'
    else:  # the description of itself: the frame's `previous` is the first of its words
        change = "_PyRuntime[%d] += 8" % ({13: 232, 14: 256, 15: 320}[python.version[1]] / 8)
    said = said_of(python, tmp_path, change)
    assert len(said.splitlines()) == 1 and "untraced" in said and "as its version should" in said
