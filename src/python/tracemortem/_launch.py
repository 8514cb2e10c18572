"""How `python3 -m tracemortem` gets the tracer into the program: preloaded where that works, else from inside.

What keeps a preloaded tracer from being there is found before the program starts, because the loader says nothing, or
ends the program. Knows the loader's habits and the form of ELF files; knows nothing of the command line.
"""

import builtins
import io
import os
import re
import shutil
import struct
import sys
import tempfile
from types import ModuleType
from typing import Dict, List, NoReturn, Optional

HERE = os.path.dirname(os.path.realpath(__file__))
TRACER = os.path.join(HERE, "_tracer.abi3.so")

AT_SECURE = 23
PT_INTERP = 3
PT_HEADERS_MOST = 256
PATH_MOST = 4096
# LD_PRELOAD is split at spaces and colons (by musl at every blank), and `$` in it begins a variable.
SPLIT = re.compile(r"[\s:;$]")
SAMPLED = "sampled"  # the profile of this name
LINK_FOLDER = "tracemortem-"  # environment.c knows this


def say(message: str) -> None:
    """One line on stderr, where somebody reads it."""
    try:
        if sys.stderr is not None:
            sys.stderr.write("tracemortem: %s\n" % message)
            sys.stderr.flush()
    except OSError:
        pass


# ----------------------------------------------------------------------------------------------------------------------
# Whether the tracer can be preloaded


def read_at(path: str, place: int, length: int) -> bytes:
    """Up to `length` bytes of a file. ValueError: there is no such place."""
    try:
        with open(path, "rb") as file:
            file.seek(place)
            return file.read(length)
    except (OSError, OverflowError) as error:
        raise ValueError("cannot read %s: %s" % (path, error)) from error


class Elf:
    """What an ELF file says of itself. ValueError: it is no ELF file, is damaged or cannot be read."""

    def __init__(self, path: str) -> None:
        start = read_at(path, 0, 64)
        if len(start) < 64 or start[:4] != b"\x7fELF" or start[4] not in (1, 2) or start[5] not in (1, 2):
            raise ValueError("%s is no ELF file" % path)
        wide, order = start[4] == 2, "<>"[start[5] - 1]
        self.machine = (start[4], start[5]) + struct.unpack_from(order + "H", start, 18)
        (place,) = struct.unpack_from(order + ("Q" if wide else "I"), start, 32 if wide else 28)
        size, count = struct.unpack_from(order + "HH", start, 54 if wide else 42)
        if size < (56 if wide else 32) or count > PT_HEADERS_MOST:
            raise ValueError("%s is damaged" % path)
        headers = read_at(path, place, size * count)
        if len(headers) < size * count:
            raise ValueError("%s is cut short" % path)
        self.interpreter: Optional[str] = None  # the loader, which the kernel starts for it
        for at in range(0, size * count, size):
            if struct.unpack_from(order + "I", headers, at)[0] == PT_INTERP:
                fields, first = (order + "Q16xQ", at + 8) if wide else (order + "I8xI", at + 4)
                place, length = struct.unpack_from(fields, headers, first)
                self.interpreter = os.fsdecode(read_at(path, place, min(length, PATH_MOST)).split(b"\0")[0])


def c_library(tracer: str) -> str:
    """The C library that the tracer was built with."""
    return "glibc" if b"\0libc.so.6\0" in read_at(tracer, 0, -1) else "musl"


def elf_of(executable: str) -> Elf:
    """Of the interpreter, which a script may start that is called `executable`."""
    try:
        return Elf(executable)
    except ValueError:
        return Elf("/proc/self/exe")


def why_untraceable(executable: str, tracer: str) -> Optional[str]:
    """Why the program that `executable` is cannot load the tracer in any way; None: nothing is known against it."""
    if not os.path.exists(tracer):
        return "%s is missing" % tracer
    try:
        tracers, library = Elf(tracer), c_library(tracer)
    except ValueError as error:
        return str(error)
    try:
        elf = elf_of(executable)
    except ValueError:  # a program that may be run and not read
        return None
    if elf.machine != tracers.machine:
        return "the tracer was built for another processor than %s" % executable
    if elf.interpreter is None:
        return "%s is linked statically" % executable
    if ("musl" in os.path.basename(elf.interpreter)) != (library == "musl"):
        return "the tracer was built for %s, which %s does not use" % (library, executable)
    return None


def is_secure() -> bool:
    """Whether the kernel has the loader ignore LD_PRELOAD. It does the same with this interpreter when it starts again."""
    try:
        import ctypes

        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return bool(getauxval(AT_SECURE))
    except (ImportError, OSError, AttributeError):
        return os.geteuid() != os.getuid() or os.getegid() != os.getgid()


def why_not_preloaded(executable: str) -> Optional[str]:
    """Why the tracer would be missing after a start of `executable`, although it can be imported; None: it would not."""
    if not executable:
        return "the interpreter does not know its own file"
    if is_secure():
        return "%s is setuid or has file capabilities, so LD_PRELOAD is ignored" % executable
    return None


# ----------------------------------------------------------------------------------------------------------------------
# The recorder's file

OWN_FILE = "TRACEMORTEM_LAUNCH_FILE"  # environment.c knows this, and removes it


def record_into(file: str, children: bool) -> None:
    """Ask the tracer for a file; with `children`, that of each program that is started here, too."""
    os.environ["TRACEMORTEM_FILE" if children else OWN_FILE] = file


# ----------------------------------------------------------------------------------------------------------------------
# Preloaded


def make_link(tracer: str) -> str:
    """A name of the tracer that LD_PRELOAD can have: a link in a private folder."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if SPLIT.search(place) or not os.path.isabs(place):
            continue
        try:
            folder = tempfile.mkdtemp(prefix=LINK_FOLDER, dir=place)
        except OSError:
            continue
        try:
            os.chmod(folder, 0o711)  # child processes may become another user
            link = os.path.join(folder, "_tracer.abi3.so")
            os.symlink(tracer, link)
            return link
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
    raise OSError("no folder for a link to %s, in whose path LD_PRELOAD would be split" % tracer)


def name_for_preload() -> str:
    """The tracer's path, or that of a link to it. OSError: there can be no link."""
    return make_link(TRACER) if SPLIT.search(TRACER) else TRACER


def chosen_detail(detail: str) -> str:
    """That of the command line, or else of the environment."""
    return detail or os.environ.get("TRACEMORTEM_DETAIL", "")


def default_limit(detail: str) -> int:
    """How many frames to keep if nobody says. A sample is rare: its whole stack costs hardly more than its newest frame."""
    return 25 if chosen_detail(detail) == SAMPLED else 1


def preload(command: List[str], limit: int, detail: str, children: bool) -> NoReturn:
    """Become `command` with the tracer preloaded. It removes its variables and the link, unless children need them."""
    environment = dict(os.environ)
    tracer = name_for_preload()
    # Whatever LD_PRELOAD was comes behind the first colon.
    before = [environment["LD_PRELOAD"]] if "LD_PRELOAD" in environment else []
    environment["LD_PRELOAD"] = ":".join([tracer] + before)
    variable = "TRACEMORTEM" if children else "TRACEMORTEM_LAUNCH"
    environment[variable] = str(limit)
    if detail:
        environment[variable + "_DETAIL"] = detail
    try:
        start(command, environment)
    finally:  # it did not start
        if tracer != TRACER:
            shutil.rmtree(os.path.dirname(tracer), ignore_errors=True)


def start(command: List[str], environment: Dict[str, str]) -> NoReturn:
    """Become `command`."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execve(command[0], command, environment)


# ----------------------------------------------------------------------------------------------------------------------
# From inside


def start_inside(limit: int, detail: str, children: bool) -> None:
    """Trace this process, and the children for which LD_PRELOAD is not ignored. Samples leave its tracemalloc as it is."""
    from . import _tracer, install

    try:
        _tracer._start_for_launcher(limit, detail)
    except RuntimeError as error:
        say("%s; continuing without tracing" % error)
    os.environ.pop(OWN_FILE, None)
    if chosen_detail(detail) != SAMPLED:
        install()
    if children:
        try:
            os.environ["LD_PRELOAD"] = ":".join(filter(None, [name_for_preload(), os.environ.get("LD_PRELOAD")]))
            os.environ["TRACEMORTEM"] = str(limit)
            if detail:
                os.environ["TRACEMORTEM_DETAIL"] = detail
        except OSError as error:
            say("%s; child processes are not traced" % error)


def put_first(folder: str, always: bool = False) -> None:
    """Set the first entry of sys.path, which Python has there unless it is isolated."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = folder
    elif always:
        sys.path.insert(0, folder)


def run_here(program: List[str]) -> None:
    """Run what would be the interpreter's arguments (script.py ..., -m module ..., -c code ...) in this process."""
    import pkgutil
    import runpy

    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    first, rest = program[0], program[1:]
    sys.argv = program
    if first[:2] in ("-m", "-c"):
        word = first[2:] or rest.pop(0)
        sys.argv = [first[:2]] + rest
        if first[:2] == "-m":
            runpy._run_module_as_main(word)  # type: ignore[attr-defined]
            return
        put_first("")
        code = compile(word, "<string>", "exec")
    elif first == "-":
        put_first("")
        main.__dict__.update(__file__="<stdin>", __cached__=None)
        code = compile(sys.stdin.read(), "<stdin>", "exec")
    elif pkgutil.get_importer(first) is not None:  # a folder or an archive
        put_first(first, always=True)
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    else:
        put_first(os.path.dirname(os.path.realpath(first)))
        main.__dict__.update(__file__=first, __cached__=None)
        with io.open_code(first) as file:
            code = pkgutil.read_code(file)  # it may be compiled already
            if code is None:
                file.seek(0)
                code = compile(file.read(), first, "exec")
    exec(code, main.__dict__)
