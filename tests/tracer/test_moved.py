"""An interpreter that has a field in another place than its version is refused, and its program runs without tracing.

Such a build is simulated in two ways. A library changes what a real interpreter says about itself, before the tracer looks.
And a tracer is built that expects a field of the frames in another place; it must notice before it follows a wrong word.
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
from selection import thorough  # noqa: E402

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
    assert len(said.splitlines()) == 1 and "continuing without tracing" in said
    assert "differ from those of its version (a modified build?)" in said


PYTHONS = pythons.find() + pythons.find_free_threaded()


@pytest.mark.parametrize("python", PYTHONS, ids=pythons.name)
def test_a_moved_field_of_code_objects_is_noticed_before_the_first_frame(python, tmp_path):
    assert said_of(python, tmp_path, "(void)0") == ""
    require_refusal(said_of(python, tmp_path, 'move(PyCode_Type, "co_filename")'))


def description_of_frames(python):
    """Where the interpreter's description of itself has the words about frames: the first of them is `previous`."""
    with open(os.path.join(debuggers.ROOT, "src", "tracer", "facts", "3.%d.h" % python.version[1])) as file:
        return int(re.search(r"\.description = \{\.thread = \d+, \.frame = (\d+)", file.read()).group(1))


@pytest.mark.parametrize("python", [p for p in PYTHONS if not (3, 11) <= p.version < (3, 13)], ids=pythons.name)
def test_a_moved_field_of_frames_is_noticed_before_the_first_frame(python, tmp_path):
    if python.version < (3, 11):
        change = 'move(PyFrame_Type, "f_back")'
    else:
        change = "_PyRuntime[%d] += 8" % (description_of_frames(python) / 8)
    require_refusal(said_of(python, tmp_path, change))


# Fields of thread states and frames, and the versions that have them: from the first, to before the second.
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
    """(a field, a tracer that expects it 8 bytes further than it is in each version)."""
    folder = tmp_path_factory.mktemp("misled")
    sources, library = str(folder / "src"), str(folder / "misled.so")
    shutil.copytree(os.path.join(debuggers.ROOT, "src"), sources)
    changes = 0
    for facts in (folder / "src" / "tracer" / "facts").iterdir():
        text, count = re.subn(r"(\.%s = \d+)," % request.param, r"\1 + 8,", facts.read_text())
        facts.write_text(text)
        changes += count
    assert changes >= 2
    files = [file for name in ("tracer", "layout") for file in glob.glob(os.path.join(sources, name, "*.c"))]
    files = [file for file in files if not file.endswith("selfcheck.c")]
    flags = ["-std=gnu11", "-O0", "-w", "-fPIC", "-shared", "-fvisibility=hidden", "-ftls-model=initial-exec"]
    flags += ['-DTRACEMORTEM_VERSION="0"', "-I" + sysconfig.get_path("include"), "-I" + sources]
    subprocess.run(["gcc"] + flags + ["-o", library] + files + ["-lpthread"], check=True)
    return request.param, library


@thorough
@pytest.mark.parametrize("python", PYTHONS + pythons.find_debug(), ids=pythons.name)
def test_a_field_of_frames_in_another_place_is_never_followed(python, misled):
    field, library = misled
    first, end = FIELDS[field]
    said = said_with(python, library)
    if first <= python.version < end:
        require_refusal(said)
    else:
        assert said == ""
