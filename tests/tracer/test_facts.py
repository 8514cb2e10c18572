"""The tracer's facts about each CPython (src/tracer/facts) agree with CPython's own headers.

Two programs print the same figures: one is built from the tracer's facts, the other from the interpreter's internal
headers. A CPython without these headers is listed as skipped.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import pytest  # noqa: E402
import pythons  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
TRACER = os.path.join(ROOT, "src", "tracer")

MIRRORED = r"""
#include "tracer/family.h"
#include <stdio.h>
#include <stdlib.h>
#define SHOW(field) printf(#field " %d\n", (int)facts->field)
int main(int argc, char **argv)
{
    unsigned version = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 16) : 0;
    const struct cpython_facts *facts = family_facts(family_of(version, argc > 2));
    SHOW(thread_frame); SHOW(cframe_frame); SHOW(frame_code); SHOW(frame_previous); SHOW(frame_instruction);
    SHOW(frame_owner); SHOW(owner_skip); SHOW(instruction_unit); SHOW(code_first_line); SHOW(code_filename);
    SHOW(code_name); SHOW(code_lines); SHOW(code_bytecode); SHOW(code_first_traceable);
    SHOW(object_type); SHOW(object_size); SHOW(free_threaded); SHOW(code_copies); SHOW(frame_copy);
    printf("thread_interpreter %d\ncode_unit %d\n", THREAD_INTERPRETER, CODE_UNIT);
    if (facts->code_copies != 0)
        printf("copies_entries %d\n", COPIES_ENTRIES);
    printf("frame_code_tags %d\n", facts->frame_code_tags);
    if (facts->description.thread != 0)
        printf("description_thread %d\ndescription_frame %d\ndescription_code %d\n", facts->description.thread,
               facts->description.frame, facts->description.code);
    return 0;
}
"""

REAL = r"""
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#define SHOW(name, value) printf(#name " %d\n", (int)(value))
#define OFFSET(name, type, field) SHOW(name, offsetof(type, field))
#if PY_VERSION_HEX < 0x030b0000
#include <frameobject.h>
#include "internal/pycore_pystate.h"
#else
#include "internal/pycore_frame.h"
#include "internal/pycore_code.h"
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_interpframe.h"
#include "internal/pycore_stackref.h"
#endif
#if PY_VERSION_HEX >= 0x030d0000
#include "internal/pycore_runtime.h"
#define DESCRIBED(name, field) SHOW(name, offsetof(_Py_DebugOffsets, field))
#endif
typedef struct _PyInterpreterFrame Frame;
#endif
int main(void)
{
    OFFSET(thread_interpreter, PyThreadState, interp);
    OFFSET(object_type, PyObject, ob_type);
    SHOW(object_size, sizeof(PyObject));
    OFFSET(object_size, PyVarObject, ob_size);
#ifdef Py_GIL_DISABLED
    SHOW(free_threaded, 1);
#else
    SHOW(free_threaded, 0);
#endif
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX >= 0x030e0000
    OFFSET(code_copies, PyCodeObject, co_tlbc);
    OFFSET(frame_copy, Frame, tlbc_index);
    OFFSET(copies_entries, _PyCodeArray, entries);
#else
    SHOW(code_copies, 0);
    SHOW(frame_copy, 0);
#endif
    OFFSET(code_first_line, PyCodeObject, co_firstlineno);
    OFFSET(code_filename, PyCodeObject, co_filename);
    SHOW(code_unit, sizeof(_Py_CODEUNIT));
#if PY_VERSION_HEX < 0x030b0000
    OFFSET(thread_frame, PyThreadState, frame);
    SHOW(cframe_frame, -1);
    OFFSET(frame_code, PyFrameObject, f_code);
    OFFSET(frame_previous, PyFrameObject, f_back);
    OFFSET(frame_instruction, PyFrameObject, f_lasti);
    SHOW(frame_owner, -1);
    SHOW(owner_skip, 0);
    SHOW(instruction_unit, PY_VERSION_HEX < 0x030a0000 ? 1 : sizeof(_Py_CODEUNIT));
    OFFSET(code_name, PyCodeObject, co_name);
    OFFSET(code_bytecode, PyCodeObject, co_code);
    SHOW(code_first_traceable, 0);
#if PY_VERSION_HEX < 0x030a0000
    OFFSET(code_lines, PyCodeObject, co_lnotab);
#else
    OFFSET(code_lines, PyCodeObject, co_linetable);
#endif
#else
    OFFSET(frame_previous, Frame, previous);
    OFFSET(frame_owner, Frame, owner);
    SHOW(instruction_unit, 0);
    OFFSET(code_name, PyCodeObject, co_qualname);
    OFFSET(code_lines, PyCodeObject, co_linetable);
    OFFSET(code_bytecode, PyCodeObject, co_code_adaptive);
    OFFSET(code_first_traceable, PyCodeObject, _co_firsttraceable);
#if PY_VERSION_HEX < 0x030c0000
    SHOW(owner_skip, 0);
#elif PY_VERSION_HEX >= 0x030e0000
    SHOW(owner_skip, FRAME_OWNED_BY_INTERPRETER);
#else
    SHOW(owner_skip, FRAME_OWNED_BY_CSTACK);
#endif
#if PY_VERSION_HEX < 0x030d0000
    OFFSET(thread_frame, PyThreadState, cframe);
    OFFSET(cframe_frame, _PyCFrame, current_frame);
    OFFSET(frame_code, Frame, f_code);
    OFFSET(frame_instruction, Frame, prev_instr);
#else
    OFFSET(thread_frame, PyThreadState, current_frame);
    SHOW(cframe_frame, -1);
    OFFSET(frame_code, Frame, f_executable);
    OFFSET(frame_instruction, Frame, instr_ptr);
    DESCRIBED(description_thread, thread_state.interp);
    DESCRIBED(description_frame, interpreter_frame.previous);
    DESCRIBED(description_code, code_object.filename);
#endif
#endif
#if PY_VERSION_HEX >= 0x030e0000 && defined(Py_GIL_DISABLED)
    SHOW(frame_code_tags, Py_TAG_BITS | 3); // objects are aligned: none of these bits is part of an address, used or not
#elif PY_VERSION_HEX >= 0x030e0000
    SHOW(frame_code_tags, Py_TAG_BITS);
#else
    SHOW(frame_code_tags, 0);
#endif
    return 0;
}
"""


def include_of(python):
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    return subprocess.run(
        [python, "-c", code], stdout=subprocess.PIPE, check=True, universal_newlines=True
    ).stdout.strip()


def figures(source, flags, arguments, folder, name):
    """What a C program prints: {name: number}."""
    program, text = folder / name, folder / (name + ".c")
    text.write_text(source)
    subprocess.run(["gcc", "-std=gnu11", "-w", "-o", str(program), str(text)] + flags, check=True)
    out = subprocess.run([str(program)] + arguments, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return {line.split()[0]: int(line.split()[1]) for line in out.splitlines()}


def require_that_headers_agree(python, free_threaded, folder):
    """`free_threaded`: as a build of the same headers without the global lock is."""
    include = include_of(python.path)
    if not os.path.exists(os.path.join(include, "internal", "pycore_code.h")) and python.version >= (3, 9):
        pytest.skip("no internal headers in %s" % include)
    if not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("no headers in %s" % include)
    headers = ["-I" + include, "-I" + os.path.join(include, "internal")] + ["-DPy_GIL_DISABLED=1"] * free_threaded
    real = figures(REAL, headers, [], folder, "real")
    arguments = ["%x" % (python.version[0] << 8 | python.version[1])] + ["t"] * free_threaded
    flags = ["-I" + os.path.dirname(TRACER), os.path.join(TRACER, "families.c")]
    mirrored = figures(MIRRORED, flags, arguments, folder, "mirrored")
    assert len(real) == 22 + 3 * (python.version >= (3, 13)) + (free_threaded and python.version >= (3, 14))
    assert mirrored == real


@pytest.mark.parametrize("python", pythons.find() + pythons.find_debug(), ids=pythons.name)
def test_the_mirrored_fields_are_where_the_headers_put_them(python, tmp_path):
    require_that_headers_agree(python, False, tmp_path)


WITH_THE_OTHER_BUILDS_HEADERS = [p for p in pythons.find() + pythons.find_debug() if p.version >= (3, 13)]


# One set of headers serves both builds, so it is compared with the free-threaded build too, even if that is not here.
@pytest.mark.parametrize("python", WITH_THE_OTHER_BUILDS_HEADERS + pythons.find_free_threaded(), ids=pythons.name)
def test_the_mirrored_fields_of_free_threaded_builds_are_where_the_headers_put_them(python, tmp_path):
    require_that_headers_agree(python, True, tmp_path)


SUPPORTED = ["3.%d" % minor for minor in range(8, 16)] + ["3.%dt" % minor for minor in range(13, 16)]


def text_of(*names):
    with open(os.path.join(TRACER, *names)) as file:
        return file.read()


def test_every_supported_version_has_its_row_and_its_header_of_facts():
    rows = re.findall(
        r'#include "facts/(.*)\.h"\n#define FAMILY (\w+)\n#include "family.inc.h"\n', text_of("families.h")
    )
    assert [name for name, _ in rows] == sorted(SUPPORTED, key=lambda name: (int(name[2:].rstrip("t")), name))
    assert sorted(os.listdir(os.path.join(TRACER, "facts"))) == sorted(name + ".h" for name in SUPPORTED)
    for name, family in rows:
        facts, free_threaded = text_of("facts", name + ".h"), name.endswith("t")
        assert family == name.replace(".", "_") and "cpython_facts cpython_%s = {" % family in facts
        assert ".version = 0x3%02x," % int(name[2:].rstrip("t")) in facts
        assert (".free_threaded = true," in facts) == free_threaded
