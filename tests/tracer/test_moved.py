"""An interpreter which keeps a field elsewhere than its version should is refused, and its program runs on untraced.

The build of an unknown micro release is played in two ways: by a library which changes what a real interpreter tells of
itself, before the tracer looks; and the other way round, by a tracer which is built to expect a field of the frames
elsewhere. That one must not even take a wrong step before it notices.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import sysconfig

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from selection import light  # noqa: E402

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
    struct member *member = *(struct member **)(type + MEMBERS);
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
    members = 256 if pythons.is_free_threaded(python.path) else 240
    source.write_text(MOVED.replace("CHANGE", change).replace("MEMBERS", str(members)))
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return said_with(python, "%s %s" % (debuggers.TRACER, library))


def said_with(python, preloaded):
    variables = dict(os.environ, LD_PRELOAD=str(preloaded), TRACEMORTEM="5")
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


def require_refusal(said):
    assert len(said.splitlines()) == 1 and "untraced" in said and "as its version should" in said


PYTHONS = pythons.find() + pythons.find_free_threaded()


@pytest.mark.parametrize("python", PYTHONS, ids=pythons.name)
def test_a_moved_field_of_code_objects_is_noticed_before_the_first_frame(python, tmp_path):
    assert said_of(python, tmp_path, "(void)0") == ""
    require_refusal(said_of(python, tmp_path, 'move(PyCode_Type, "co_filename")'))


@pytest.mark.parametrize("python", [p for p in PYTHONS if not (3, 11) <= p.version < (3, 13)], ids=pythons.name)
def test_a_moved_field_of_frames_is_noticed_before_the_first_frame(python, tmp_path):
    if python.version < (3, 11):
        change = 'move(PyFrame_Type, "f_back")'
    else:  # the description of itself: the frame's `previous` is the first of its words
        change = "_PyRuntime[%d] += 8" % ({13: 232, 14: 256, 15: 320}[python.version[1]] / 8)
    require_refusal(said_of(python, tmp_path, change))


# Fields of thread states and frames, and the versions which have them: from the first, to before the second.
FIELDS = {
    "thread_frame": [(3, 8), (4, 0)],
    "cframe_frame": [(3, 11), (3, 13)],
    "frame_code": [(3, 8), (4, 0)],
    "frame_previous": [(3, 8), (4, 0)],
    "frame_instruction": [(3, 8), (4, 0)],
    "frame_owner": [(3, 11), (4, 0)],
}


@pytest.fixture(scope="module", params=sorted(FIELDS))
def misled(request, tmp_path_factory):
    """(a field, a tracer which expects it 8 bytes further than it is in each version)."""
    folder = tmp_path_factory.mktemp("misled")
    sources, library = str(folder / "src"), str(folder / "misled.so")
    shutil.copytree(os.path.join(debuggers.ROOT, "src"), sources)
    facts = folder / "src" / "tracer" / "facts.h"
    text, changes = re.subn(r"(\.%s = \d+)," % request.param, r"\1 + 8,", facts.read_text())
    assert changes >= 2
    facts.write_text(text)
    files = [file for name in ("tracer", "layout") for file in glob.glob(os.path.join(sources, name, "*.c"))]
    files = [file for file in files if not file.endswith("selfcheck.c")]
    flags = ["-std=gnu11", "-O0", "-w", "-fPIC", "-shared", "-fvisibility=hidden", "-ftls-model=initial-exec"]
    flags += ['-DTRACEMORTEM_VERSION="0"', "-I" + sysconfig.get_path("include"), "-I" + sources]
    subprocess.run(["gcc"] + flags + ["-o", library] + files + ["-lpthread"], check=True)
    return request.param, library


@light(lambda misled: misled in ("frame_previous", "thread_frame"))
@pytest.mark.parametrize("python", PYTHONS + pythons.find_debug(), ids=pythons.name)
def test_a_field_of_frames_which_is_elsewhere_is_never_followed(python, misled):
    field, library = misled
    first, end = FIELDS[field]
    said = said_with(python, library)
    if first <= python.version < end:
        require_refusal(said)
    else:
        assert said == ""
