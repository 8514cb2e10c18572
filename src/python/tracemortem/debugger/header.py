"""The engine's public header, src/engine/tracemortem.h, in the types of ctypes: its values, structs and functions.

It adds nothing to the header; tests/frontend/test_header.py compares the two. `engine` turns it into Python objects.
"""

from __future__ import annotations

import ctypes
import enum
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p


class ErrorCode(enum.IntEnum):
    """enum tm_error_code"""

    NO_MEMORY = 1
    USAGE = 2
    NO_TARGET = 3
    NO_TABLE = 4
    NOT_TRACING = 5
    UNSUPPORTED = 6
    CORRUPT = 7
    FAULT = 8
    NOT_FOUND = 9
    INTERRUPTED = 10
    OUTPUT = 11
    INCOMPLETE = 12


class Operand(enum.IntEnum):
    """enum tm_operand: what the front end must resolve before it runs a request."""

    EXPRESSION = 1
    CORE = 2
    OUTPUT = 3
    REPLACE = 4
    ANSWER = 5


class WordKind(enum.IntEnum):
    """enum tm_word_kind: what a word of a command line is."""

    OPTION = 1
    VALUE = 2
    OPERAND = 3


class PrivateKind(enum.IntEnum):
    """enum tm_private_kind: which part of a process's private memory is counted."""

    UNKNOWN = 0
    RESIDENT = 1
    IN_CORE = 2
    MAPPED = 3


class BackingKind(enum.IntEnum):
    """enum tm_backing_kind: what is behind a target's memory."""

    UNKNOWN = 0
    PROCESS = 1
    CORE = 2
    RECORDER = 3
    SAVED = 4


class Life(enum.IntEnum):
    """enum tm_life: of the process that has a recorder's file."""

    UNKNOWN = 0
    LIVES = 1
    ENDED = 2


# TM_REGION_*: plain numbers, since a process can have 65530 regions.
REGION_READABLE = 1
REGION_WRITABLE = 2
REGION_FILE = 4
REGION_ABSENT = 8

READ_LIMIT = 1 << 20  # TM_READ_LIMIT
THREAD_REGISTERS = 40  # TM_THREAD_REGISTERS
BACKING_NOTE = 256  # TM_BACKING_NOTE

# A callback that returns a string returns its address: ctypes makes no `const char *` of a Python object.
SHOULD_STOP = CFUNCTYPE(c_int, c_void_p)
WRITE = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
PROGRESS = CFUNCTYPE(None, c_void_p, c_char_p, c_uint64, c_uint64)
SOURCE_LINE = CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_uint32, POINTER(c_uint32))
SCREEN = CFUNCTYPE(c_int, c_void_p, c_void_p)
READ = CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_uint64)
SYMBOL = CFUNCTYPE(c_uint64, c_void_p, c_char_p)
REGIONS = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_size_t)
WHY_MISSING = CFUNCTYPE(c_void_p, c_void_p, c_uint64)
PROCESS = CFUNCTYPE(c_uint32, c_void_p)
PRIVATE_MEMORY = CFUNCTYPE(c_uint64, c_void_p, POINTER(c_uint32))
THREADS = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_size_t)
MODULES = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_size_t)
BACKING = CFUNCTYPE(None, c_void_p, c_void_p)
PAGE_MAP = CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_uint64)
RESIDENT = CFUNCTYPE(c_uint64, c_void_p)
OUTPUT_CALLBACK = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)


class Region(ctypes.Structure):
    """struct tm_region"""

    _fields_ = [
        ("start", c_uint64),
        ("end", c_uint64),
        ("flags", c_uint32),
        ("_padding", c_uint32),
        ("name", ctypes.c_char * 48),
    ]


class Thread(ctypes.Structure):
    """struct tm_thread"""

    _fields_ = [
        ("id", c_uint64),
        ("stack_pointer", c_uint64),
        ("register_count", c_uint32),
        ("_padding", c_uint32),
        ("registers", c_uint64 * THREAD_REGISTERS),
    ]


class Module(ctypes.Structure):
    """struct tm_module"""

    _fields_ = [
        ("start", c_uint64),
        ("end", c_uint64),
        ("offset", c_uint64),
        ("path", ctypes.c_char * 256),
    ]


class Backing(ctypes.Structure):
    """struct tm_backing"""

    _fields_ = [
        ("kind", c_uint32),
        ("life", c_uint32),
        ("now", c_uint64),
        ("moment", c_uint64),
        ("file_changed", c_uint64),
        ("file", ctypes.c_char * 256),
        ("why", ctypes.c_char * 256),
        ("note_length", c_uint32),
        ("crashed", c_uint32),
        ("note", ctypes.c_char * BACKING_NOTE),
    ]


class TargetCallbacks(ctypes.Structure):
    """struct tm_target_callbacks"""

    _fields_ = [
        ("read", READ),
        ("symbol", SYMBOL),
        ("regions", REGIONS),
        ("why_missing", WHY_MISSING),
        ("process", PROCESS),
        ("private_memory", PRIVATE_MEMORY),
        ("threads", THREADS),
        ("modules", MODULES),
        ("backing", BACKING),
        ("page_map", PAGE_MAP),
        ("resident", RESIDENT),
    ]


class Screen(ctypes.Structure):
    """struct tm_screen"""

    _fields_ = [
        ("width", c_uint32),
        ("styled", c_uint32),
    ]


class HostCallbacks(ctypes.Structure):
    """struct tm_host_callbacks"""

    _fields_ = [
        ("should_stop", SHOULD_STOP),
        ("write", WRITE),
        ("progress", PROGRESS),
        ("source_line", SOURCE_LINE),
        ("screen", SCREEN),
    ]


# name: (result, parameters...)
FUNCTIONS = {
    "tm_error_message": (c_char_p, c_void_p),
    "tm_error_code": (c_int, c_void_p),
    "tm_error_destroy": (None, c_void_p),
    "tm_session_create": (c_void_p, POINTER(HostCallbacks), c_void_p, POINTER(c_void_p)),
    "tm_session_destroy": (None, c_void_p),
    "tm_target_create": (c_void_p, POINTER(TargetCallbacks), c_void_p, POINTER(c_void_p)),
    "tm_target_create_file": (c_void_p, POINTER(TargetCallbacks), c_void_p, c_uint64, POINTER(c_void_p)),
    "tm_target_changed": (None, c_void_p),
    "tm_target_set_running": (None, c_void_p, c_bool),
    "tm_target_set_moving": (None, c_void_p, c_bool),
    "tm_target_destroy": (None, c_void_p),
    "tm_target_bytes_read": (c_uint64, c_void_p),
    "tm_target_started": (c_uint64, c_void_p),
    "tm_command_name": (c_char_p, c_size_t),
    "tm_command_help": (c_char_p, c_char_p),
    "tm_complete": (c_char_p, c_void_p, c_char_p, c_char_p, c_void_p),
    "tm_command_word": (c_int, c_char_p, POINTER(c_char_p), c_size_t),
    "tm_request_create": (c_void_p, c_void_p, c_char_p, c_char_p, POINTER(c_void_p)),
    "tm_request_operands": (c_size_t, c_void_p),
    "tm_request_operand_kind": (c_int, c_void_p, c_size_t),
    "tm_request_operand_text": (c_char_p, c_void_p, c_size_t),
    "tm_request_set_address": (None, c_void_p, c_size_t, c_uint64),
    "tm_request_set_target": (None, c_void_p, c_size_t, c_void_p),
    "tm_request_set_output": (None, c_void_p, c_size_t, OUTPUT_CALLBACK, c_void_p),
    "tm_request_needs_target": (c_bool, c_void_p),
    "tm_request_run": (c_void_p, c_void_p, c_void_p),
    "tm_request_destroy": (None, c_void_p),
}
