"""The reader's facts about each CPython (src/engine/objects/cpython) agree with CPython's own headers.

The header of facts is compiled beside the interpreter's internal headers, and each fact is compared there. A CPython
without these headers is listed as skipped.
"""

import os
import re
import subprocess

import debuggers
import pytest

FOLDER = os.path.join(debuggers.ROOT, "src", "engine", "objects", "cpython")

HEADERS = r"""
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include <frameobject.h>
#include <structmember.h>
#if PY_VERSION_HEX >= 0x03090000
#include "internal/pycore_runtime.h"
#include "internal/pycore_interp.h"
#endif
#include "internal/pycore_pystate.h"
#if PY_VERSION_HEX >= 0x030b0000
#include "internal/pycore_frame.h"
#include "internal/pycore_code.h"
#include "internal/pycore_dict.h"
#define FRAME _PyInterpreterFrame
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_interpframe.h"
#endif
#if PY_VERSION_HEX >= 0x030f0000
#define GENERATOR_ENDED FRAME_CLEARED
#else
#define GENERATOR_ENDED FRAME_COMPLETED
#endif
#else
#define FRAME PyFrameObject
#endif
"""

# Fact: what it is, and for which versions if not for all (from, to).
FACTS = {
    "minor": "PY_MINOR_VERSION",
    "heap_type_size": "sizeof(PyHeapTypeObject)",
    "type_qualname": "offsetof(PyHeapTypeObject, ht_qualname)",
    "type_cached_keys": "offsetof(PyHeapTypeObject, ht_cached_keys)",
    "str_ascii": "sizeof(PyASCIIObject)",
    "str_compact": "sizeof(PyCompactUnicodeObject)",
    "str_utf8": "offsetof(PyCompactUnicodeObject, utf8)",
    "function_code": "offsetof(PyFunctionObject, func_code)",
    "function_qualname": "offsetof(PyFunctionObject, func_qualname)",
    "code_first_line": "offsetof(PyCodeObject, co_firstlineno)",
    "code_filename": "offsetof(PyCodeObject, co_filename)",
    "code_name": "offsetof(PyCodeObject, co_name)",
    "code_weakrefs": "offsetof(PyCodeObject, co_weakreflist)",
    "weakref_size": "sizeof(PyWeakReference)",
    "tuple_items": "offsetof(PyTupleObject, ob_item)",
    "thread_next": "offsetof(PyThreadState, next)",
    "thread_id": "offsetof(PyThreadState, thread_id)",
    "runtime_interpreters": "offsetof(_PyRuntimeState, interpreters.head)",
    "interpreter_next": "offsetof(PyInterpreterState, next)",
    "interpreter_id": "offsetof(PyInterpreterState, id)",
    "frame_locals": ("offsetof(PyFrameObject, f_localsplus)", (8, 10)),
    "frame_code": ("offsetof(PyFrameObject, f_code)", (8, 10)),
    "frame_previous": ("offsetof(PyFrameObject, f_back)", (8, 10)),
    "frame_instruction": ("offsetof(PyFrameObject, f_lasti)", (8, 10)),
    "thread_frame": ("offsetof(PyThreadState, frame)", (8, 10)),
    "interpreter_threads": ("offsetof(PyInterpreterState, tstate_head)", (8, 10)),
    "code_locals": ("offsetof(PyCodeObject, co_varnames)", (8, 10)),
    "code_cells": ("offsetof(PyCodeObject, co_cellvars)", (8, 10)),
    "code_free": ("offsetof(PyCodeObject, co_freevars)", (8, 10)),
    "code_local_count": ("offsetof(PyCodeObject, co_nlocals)", (8, 10)),
    "code_lines": ("offsetof(PyCodeObject, co_linetable)", (10, 15)),
}
# The same under other names, from 3.11 on.
NEW = {
    "code_qualname": "offsetof(PyCodeObject, co_qualname)",
    "code_bytecode": "offsetof(PyCodeObject, co_code_adaptive)",
    "code_first_traceable": "offsetof(PyCodeObject, _co_firsttraceable)",
    "code_locals": "offsetof(PyCodeObject, co_localsplusnames)",
    "code_local_count": "offsetof(PyCodeObject, co_nlocalsplus)",
    "frame_in_object": "offsetof(PyFrameObject, _f_frame_data)",
    "generator_frame": "offsetof(PyGenObject, gi_iframe)",
    "generator_state": "offsetof(PyGenObject, gi_frame_state)",
    "generator_ended": "GENERATOR_ENDED",
    "frame_previous": "offsetof(FRAME, previous)",
    "frame_owner": "offsetof(FRAME, owner)",
    "frame_locals": "offsetof(FRAME, localsplus)",
    "frame_locals_dict": "offsetof(FRAME, f_locals)",
    "frame_object": "offsetof(FRAME, frame_obj)",
    "thread_stack_chunk": "offsetof(PyThreadState, datastack_chunk)",
    "thread_stack_top": "offsetof(PyThreadState, datastack_top)",
    "thread_native_id": "offsetof(PyThreadState, native_thread_id)",
    "interpreter_threads": "offsetof(PyInterpreterState, threads.head)",
}
# Lists of dead objects, from and to a version.
FREE_LISTS = {
    (10, 12): ("dict_state.free_list", "dict_state.numfree", "list.free_list", "list.numfree"),
    (13, 13): tuple(
        "object_state.freelists." + name for name in ("dicts.items", "dicts.numfree", "lists.items", "lists.numfree")
    ),
}
CONSTANTS = {
    "TM_OBJECT_SIZE": "sizeof(PyObject)",
    "TM_OBJECT_TYPE": "offsetof(PyObject, ob_type)",
    "TM_VAR_SIZE": "offsetof(PyVarObject, ob_size)",
    "TM_GC_HEAD": "sizeof(PyGC_Head)",
    "TM_TYPE_NAME": "offsetof(PyTypeObject, tp_name)",
    "TM_TYPE_BASIC_SIZE": "offsetof(PyTypeObject, tp_basicsize)",
    "TM_TYPE_ITEM_SIZE": "offsetof(PyTypeObject, tp_itemsize)",
    "TM_TYPE_FLAGS": "offsetof(PyTypeObject, tp_flags)",
    "TM_TYPE_DOC": "offsetof(PyTypeObject, tp_doc)",
    "TM_TYPE_WEAKLIST": "offsetof(PyTypeObject, tp_weaklistoffset)",
    "TM_TYPE_MEMBERS": "offsetof(PyTypeObject, tp_members)",
    "TM_TYPE_BASE": "offsetof(PyTypeObject, tp_base)",
    "TM_TYPE_DICT": "offsetof(PyTypeObject, tp_dict)",
    "TM_TYPE_DICT_OFFSET": "offsetof(PyTypeObject, tp_dictoffset)",
    "TM_TYPE_BASES": "offsetof(PyTypeObject, tp_bases)",
    "TM_TYPE_MRO": "offsetof(PyTypeObject, tp_mro)",
    "TM_LIST_ITEMS": "offsetof(PyListObject, ob_item)",
    "TM_DICT_KEYS": "offsetof(PyDictObject, ma_keys)",
    "TM_DICT_VALUES": "offsetof(PyDictObject, ma_values)",
    "TM_DICT_SIZE": "sizeof(PyDictObject)",
    "TM_SET_USED": "offsetof(PySetObject, used)",
    "TM_SET_MASK": "offsetof(PySetObject, mask)",
    "TM_SET_TABLE": "offsetof(PySetObject, table)",
    "TM_SET_SMALL": "offsetof(PySetObject, smalltable)",
    "TM_STR_LENGTH": "offsetof(PyASCIIObject, length)",
    "TM_STR_STATE": "offsetof(PyASCIIObject, state)",
    "TM_BYTES_DATA": "offsetof(PyBytesObject, ob_sval)",
    "TM_BYTEARRAY_DATA": "offsetof(PyByteArrayObject, ob_bytes)",
    "TM_FLOAT_VALUE": "offsetof(PyFloatObject, ob_fval)",
    "TM_CELL_VALUE": "offsetof(PyCellObject, ob_ref)",
    "TM_WEAKREF_CALLBACK": "offsetof(PyWeakReference, wr_callback)",
}


def checks(minor):
    """Assertions for a version, as C."""
    facts = {}
    for name, value in FACTS.items():
        expression, (first, last) = value if isinstance(value, tuple) else (value, (8, 15))
        if first <= minor <= last:
            facts[name] = expression
    if minor >= 11:
        facts.update(NEW)
        facts["frame_stack_top"] = "offsetof(FRAME, %s)" % ("stackpointer" if minor >= 14 else "stacktop")
        facts["frame_code"] = "offsetof(FRAME, %s)" % ("f_executable" if minor >= 13 else "f_code")
        facts["frame_instruction"] = "offsetof(FRAME, %s)" % ("instr_ptr" if minor >= 13 else "prev_instr")
    for (first, last), names in FREE_LISTS.items():
        if first <= minor <= last:
            for fact, name in zip(("free_dicts", "free_dict_count", "free_lists", "free_list_count"), names):
                facts[fact] = "offsetof(PyInterpreterState, %s)" % name
    found = {"tm_cpython_3_%d.%s" % (minor, name): expression for name, expression in facts.items()}
    found.update(CONSTANTS)
    return ['check("%s", %s, %s);' % (name, name, expression) for name, expression in found.items()]


def test_facts_are_those_of_the_headers(any_python, tmp_path):
    code = "import sysconfig, sys; print(sys.version_info[1], sysconfig.get_path('include'))"
    minor, include = subprocess.run([any_python, "-c", code], stdout=subprocess.PIPE, check=True).stdout.split(None, 1)
    minor, include = int(minor), os.fsdecode(include).strip()
    if not os.path.isdir(os.path.join(include, "internal")):
        pytest.skip("this CPython's internal headers are not installed")
    lines = [HEADERS, '#include "%s/3.%d.h"' % (FOLDER, minor)]
    lines += ["static int bad;", "static void check(const char *name, long ours, long theirs) {"]
    lines += ['    if (ours != theirs) { printf("%s: %ld, not %ld\\n", name, ours, theirs); bad = 1; }', "}"]
    lines += ["int main(void) {"] + checks(minor) + ["return bad;", "}"]
    (tmp_path / "facts.c").write_text("\n".join(lines))
    source = os.path.join(debuggers.ROOT, "src")
    includes = ["-I", include, "-I", os.path.join(include, "internal"), "-I", source]
    program = str(tmp_path / "facts")
    subprocess.run(["gcc", "-w"] + includes + ["-o", program, str(tmp_path / "facts.c")], check=True)
    run = subprocess.run([program], stdout=subprocess.PIPE)
    assert run.returncode == 0, run.stdout.decode()


def test_each_header_is_in_the_table():
    headers = {name[:-2] for name in os.listdir(FOLDER)}
    with open(os.path.join(FOLDER, "..", "cpython.c")) as file:
        assert headers == set(re.findall(r'#include "engine/objects/cpython/(.+)\.h"', file.read()))
