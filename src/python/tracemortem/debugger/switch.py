"""tm-start and tm-stop: tracing on and off in the live process that a debugger holds.

These two commands are the only ones that change the process. They call functions in one of its threads, at a point where
that thread holds none of libc's locks: it runs the interpreter's own code, or waits in a system call for something from
outside. `tracemortem start` does the same without a debugger (src/process/call.c). This module knows no debugger: a front
end hands in a `Caller`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import struct
from typing import Dict, Iterator, List, NamedTuple, NoReturn, Tuple

from .engine import Bytes, Mapping
from .front_end import CommandError

START, STOP = "tm-start", "tm-stop"

_START_HELP = """Begin to trace this process. This changes it.

Usage: tm-start [OPTION]...

The other commands only read. This one calls functions in a thread of the
process: it loads the tracer and traces from then on. What was allocated before
is not known. Without a debugger: tracemortem start PID.

Options:
  -f, --frames NFRAME
        Keep NFRAME frames for each traceback, 1 to 65535; the default is 1,
        which costs least, and 25 where blocks are sampled.
  -o, --output FILE
        Keep the trace table in this file, as with tracemortem run -o.
  --detail DETAIL
        lean, the default, records each block; full also counts the frames that
        are not kept, and what was allocated and freed at each site. sampled
        costs least: it records a few blocks, picked by chance. If a process is
        sampled already, lean and full trace all its blocks from then on.
  --tracer FILE
        The tracer, _tracer.abi3.so, if the process sees it elsewhere.
  -h, --help
        Show this help and do nothing else.

Examples:
  tm-start -f 25
"""

_STOP_HELP = """Stop tracing this process, and forget its traces. This changes it.

Usage: tm-stop [OPTION]...

The other commands only read. This one calls a function in a thread of the
process. To keep the traces, save them first: tm-save FILE.

Options:
  -h, --help
        Show this help and do nothing else.

Examples:
  tm-stop
"""

HELP = {START: _START_HELP, STOP: _STOP_HELP}

TRACER = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "_tracer.abi3.so")

# src/layout/switch.h
_FUNCTION = "tracemortem_switch"
_MAGIC = 0x77734D54
_ORDERS = {START: 1, STOP: 2}
_REQUEST = struct.Struct("=4I16s512s")
_SWITCH = struct.Struct("=4I240s")
_WAITING, _WORKING, _DONE, _NOTHING = 2, 3, 4, 5

_LONGEST_FILE = 512
_LOAD = 2 | 0x1000  # RTLD_NOW | RTLD_NODELETE
_MOST_FRAMES, _FRAMES_OF_SAMPLES = 65535, 25
_PAUSES, _PAUSE = (
    100,
    2000,
)  # how often to let the process run until the outcome is there, and for how many microseconds

# System calls of x86-64 in which a thread waits for something from outside; src/process/call.c says why these.
_WAITS = {
    0: "read", 7: "poll", 19: "readv", 23: "select", 34: "pause", 35: "nanosleep", 43: "accept", 45: "recvfrom",
    47: "recvmsg", 61: "wait4", 128: "rt_sigtimedwait", 130: "rt_sigsuspend", 202: "futex", 230: "clock_nanosleep",
    232: "epoll_wait", 247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 441: "epoll_pwait2",
}  # fmt: skip
_INTERRUPTED = (4, 512, 513, 514, 516)  # EINTR, and the kernel's own numbers for a call that it will begin again


class Registers(NamedTuple):
    """Those of a thread that matter here."""

    counter: int  # the program counter
    result: int = 0  # on x86-64, of the system call that the thread is in


class Caller:
    """What a front end must provide: a live process that is stopped, and calls in it."""

    pid = 0  # on this host; 0: the process is elsewhere

    def symbol(self, name: str) -> int:
        """The address of a function, or 0."""
        raise NotImplementedError

    def regions(self) -> List[Mapping]:
        """The mapped regions."""
        raise NotImplementedError

    def read(self, address: int, length: int) -> Bytes | None:
        """Exactly these bytes, or None."""
        raise NotImplementedError

    def write(self, address: int, data: bytes) -> None:
        """Write memory. Raises CommandError."""
        raise NotImplementedError

    def threads(self) -> Iterator[Tuple[int, Registers]]:
        """Select one thread after the other: its number in the system, and its registers."""
        raise NotImplementedError

    def call(self, function: int, *arguments: int) -> int:
        """Call a function in the selected thread while the others run. Raises CommandError."""
        raise NotImplementedError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the engine does."""

    def error(self, message: str) -> NoReturn:
        raise CommandError('%s: %s\nType "%s --help" for its options and examples.' % (self.prog, message, self.prog))


class _Help(Exception):
    """--help was given."""


def _parse(name: str, line: str) -> argparse.Namespace:
    parser = _Parser(prog=name, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    if name == START:
        parser.add_argument("-f", "--frames", type=int)
        parser.add_argument("-o", "--output", default="")
        parser.add_argument("--detail", choices=("lean", "full", "sampled"), default="")
        parser.add_argument("--tracer", default=TRACER)
    try:
        options = parser.parse_args(shlex.split(line))
    except ValueError as error:
        raise CommandError("%s: %s" % (name, error)) from None
    if options.help:
        raise _Help
    if name == START and options.frames is None:
        options.frames = _FRAMES_OF_SAMPLES if options.detail == "sampled" else 1
    if name == START and not 1 <= options.frames <= _MOST_FRAMES:
        raise CommandError("%s: %d: not a number of frames from 1 to 65535" % (name, options.frames))
    return options


def _file(options: argparse.Namespace) -> bytes:
    name = getattr(options, "output", "")
    path = os.fsencode(os.path.abspath(name)) if name else b""
    if len(path) >= _LONGEST_FILE:
        raise CommandError("%s: the name is too long" % name)
    return path


def run(caller: Caller | None, name: str, line: str) -> str:
    """Do what the command says; the answer. Raises CommandError."""
    try:
        options = _parse(name, line)
    except _Help:
        return HELP[name]
    if caller is None:
        raise CommandError("%s: no live process, and a core cannot be changed\nAttach to a process: attach PID" % name)
    request = _REQUEST.pack(
        _MAGIC, _ORDERS[name], getattr(options, "frames", 1), 0, getattr(options, "detail", "").encode(), _file(options)
    )
    function = caller.symbol(_FUNCTION)
    if name == STOP and not function:
        return "not traced: the tracer is not loaded\n"
    _find_safe_thread(caller)
    if not function:
        function = _load(caller, options.tracer)
    return _answer(name, options, _give(caller, function, request))


# ----------------------------------------------------------------------------------------------------------------------
# The thread


def _code(caller: Caller) -> Tuple[int, int]:
    """What is mapped of the file with the interpreter. The tracer changes a page of code, so it may be in several pieces."""
    address = caller.symbol("Py_GetVersion")
    pieces: List[Tuple[int, int, bytes]] = []
    for start, end, _, name in caller.regions():
        if pieces and pieces[-1][1:] == (start, name):
            start = pieces.pop()[0]
        pieces.append((start, end, name))
    for start, end, _ in pieces:
        if start <= address < end:
            return start, end
    raise CommandError(
        "no Python whose symbols are known\n"
        "If symbols were left out, load them: sharedlibrary in gdb; in lldb, attach without symbols.load-on-demand"
    )


def _status(pid: int, thread: int) -> Dict[str, str]:
    """Of a thread on this host; empty if it cannot be read."""
    try:
        with open("/proc/%d/task/%d/status" % (pid, thread), encoding="ascii", errors="replace") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def _handles_a_signal(pid: int, thread: int) -> bool:
    """Whether it blocks a signal that the program handles, as the kernel does while a handler runs."""
    status = _status(pid, thread)
    return bool(int(status.get("SigBlk", "0"), 16) & int(status.get("SigCgt", "0"), 16))


def _is_stream(pid: int, descriptor: int) -> bool:
    try:
        return os.readlink("/proc/%d/fd/%d" % (pid, descriptor)).startswith(
            ("pipe:", "socket:", "anon_inode:", "/dev/")
        )
    except OSError:
        return False


def _system_call(pid: int, thread: int) -> List[int]:
    """The number and the arguments of the one that a thread is in; empty if it is in none."""
    try:
        with open("/proc/%d/task/%d/syscall" % (pid, thread), encoding="ascii") as file:
            words = file.read().split()
        return [int(word, 0) for word in words] if words[:1] != ["running"] else []
    except (OSError, ValueError):
        return []


def _waits(pid: int, thread: int, registers: Registers) -> bool:
    call = _system_call(pid, thread)
    name = _WAITS.get(call[0]) if len(call) > 2 and os.uname().machine == "x86_64" else None
    if name is None or -registers.result not in _INTERRUPTED:
        return False
    if name == "futex":
        return call[2] & 127 == 9  # FUTEX_WAIT_BITSET: a semaphore or a condition, and no lock of libc's
    return not name.startswith("read") or _is_stream(pid, call[1])


def _find_safe_thread(caller: Caller) -> None:
    """Leave such a thread selected."""
    start, end = _code(caller)
    for thread, registers in caller.threads():
        if caller.pid and _handles_a_signal(caller.pid, thread):
            continue
        if start <= registers.counter < end or (caller.pid and _waits(caller.pid, thread, registers)):
            return
    raise CommandError(
        "no thread is at a point where functions may be called in it: they run code of libraries\n"
        "Let the process go on for a moment, interrupt it, and try again"
    )


# ----------------------------------------------------------------------------------------------------------------------
# The calls


def _function(caller: Caller, name: str) -> int:
    address = caller.symbol(name)
    if not address:
        raise CommandError(
            "%s() is not found in the process\nLoad the symbols of its libraries: sharedlibrary in gdb" % name
        )
    return address


def _put(caller: Caller, data: bytes) -> int:
    """Bytes in memory of malloc, to be freed."""
    address = caller.call(_function(caller, "malloc"), len(data), 0, 0)
    if not address:
        raise CommandError("the process has no memory")
    caller.write(address, data)
    return address


def _free(caller: Caller, address: int) -> None:
    caller.call(_function(caller, "free"), address, 0, 0)


def _text(caller: Caller, address: int) -> str:
    text = b""
    while address and len(text) < 400:
        byte = caller.read(address + len(text), 1)
        if not byte or bytes(byte) == b"\0":
            break
        text += bytes(byte)
    return text.decode("utf-8", "backslashreplace")


def _require_visible(caller: Caller, tracer: str) -> None:
    """The process must find this very file by its name."""
    if not os.path.exists(tracer):
        raise CommandError("%s is missing" % tracer)
    try:
        same = os.path.samefile("/proc/%d/root%s" % (caller.pid, os.path.realpath(tracer)), tracer)
    except OSError:
        same = False
    if caller.pid and not same:
        raise CommandError(
            "the process has another file system, in which the tracer is not\nOutside the debugger: tracemortem start %d"
            % caller.pid
        )


def _load(caller: Caller, tracer: str) -> int:
    """The address of the tracer's function."""
    _require_visible(caller, tracer)
    path = _put(caller, os.fsencode(os.path.realpath(tracer)) + b"\0")
    name = _put(caller, _FUNCTION.encode() + b"\0")
    handle = caller.call(_function(caller, "dlopen"), path, _LOAD, 0)
    if not handle:
        why = _text(caller, caller.call(_function(caller, "dlerror"), 0, 0, 0))
        raise CommandError("the process cannot load the tracer: %s" % (why or "its dynamic linker does not say why"))
    function = caller.call(_function(caller, "dlsym"), handle, name, 0)
    _free(caller, name)
    _free(caller, path)
    if not function:
        raise CommandError("%s is no tracer of this version" % tracer)
    return function


class _Outcome(NamedTuple):
    state: int
    frame_limit: int
    message: str


def _read_switch(caller: Caller, address: int) -> _Outcome:
    data = caller.read(address, _SWITCH.size)
    magic, state, _, frame_limit, message = _SWITCH.unpack(data) if data else (0, 0, 0, 0, b"")
    if magic != _MAGIC:
        raise CommandError("the tracer gave no answer")
    return _Outcome(state, frame_limit, message.split(b"\0")[0].decode("utf-8", "backslashreplace"))


def _give(caller: Caller, function: int, request: bytes) -> _Outcome:
    """Give the request, and let the other threads run until it is done, if they give Python's lock up."""
    place = _put(caller, request)
    address = caller.call(function, place, 0, 0)
    _free(caller, place)
    pause = _function(caller, "usleep")
    for _ in range(_PAUSES):
        outcome = _read_switch(caller, address)
        if outcome.state not in (_WAITING, _WORKING):
            break
        caller.call(pause, _PAUSE, 0, 0)
    return _read_switch(caller, address)


def _frames(count: int) -> str:
    return "%d frame%s of each traceback" % (count, "" if count == 1 else "s")


def _answer(name: str, options: argparse.Namespace, outcome: _Outcome) -> str:
    waits = outcome.state in (_WAITING, _WORKING)
    if outcome.state not in (_WAITING, _WORKING, _DONE, _NOTHING):
        raise CommandError("the process cannot be switched: %s" % outcome.message)
    if name == STOP:
        return "%s\n" % (
            "no longer traced as soon as it goes on"
            if waits
            else "no longer traced"
            if outcome.state == _DONE
            else "not traced"
        )
    if outcome.state == _NOTHING:
        return "traced already, with %s\n" % _frames(outcome.frame_limit)
    problem = "; %s" % outcome.message if outcome.message and not waits else ""
    when = "as soon as it goes on" if waits else "from now on"
    return "traced %s, with %s%s\n" % (when, _frames(options.frames), problem)
