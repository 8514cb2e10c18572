"""python3 -m tracemortem [-f NFRAME] script.py ... | -m module ... | -c code ...

Runs a program with all of its memory allocations traced, from the interpreter's first one on, so that a debugger can
ask who allocated what (tm-top, tm-traceback, tm-diff). The interpreter is started anew in this same process with the
tracer preloaded; the program sees its own arguments and environment and nothing else.

Options:
  -f, --frames=NFRAME
        Keep so many frames of each traceback (default 1, the cheapest).
  --gdb, --lldb
        Print the line that loads the commands into gdb or lldb.
  -V, --version
        Print the version.
"""

import os
import subprocess
import sys

from . import __version__

USAGE = __doc__.split("\n", 1)[0]


def fail(message):
    """End with a message that says what to type."""
    sys.stderr.write("tracemortem: %s\nusage: %s\n" % (message, USAGE))
    sys.exit(2)


def parse(argv):
    """(number of frames, the interpreter's remaining arguments) of a command line."""
    limit = "1"
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            print(__doc__)
            sys.exit(0)
        elif option in ("-V", "--version"):
            print("tracemortem %s" % __version__)
            sys.exit(0)
        elif option in ("--gdb", "--lldb"):
            print(loading_line(option[2:]))
            sys.exit(0)
        elif option == "--":
            break
        elif option == "-f":
            if not rest:
                fail("-f needs a number of frames")
            limit = rest.pop(0)
        elif option.startswith("-f"):
            limit = option[2:]
        elif option.startswith("--frames="):
            limit = option.split("=", 1)[1]
        elif option[:2] in ("-m", "-c"):
            rest.insert(0, option)
            break
        else:
            fail("unknown option %s" % option)
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 65535):
        fail("-f %s: not a number of frames from 1 to 65535" % limit)
    if not rest:
        fail("no program to run")
    if rest[0] in ("-m", "-c") and len(rest) == 1:
        fail("%s needs an argument" % rest[0])
    return int(limit), rest


def loading_line(debugger):
    """What to type in gdb or lldb to have the commands there."""
    package = os.path.dirname(os.path.realpath(__file__))
    try:
        # The installer wrote it.
        with open(os.path.join(package, "front_ends_path.txt"), encoding="utf-8", errors="surrogateescape") as file:
            folder = os.path.join(package, file.read().strip())
    except OSError:
        folder = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(package))), debugger)  # of a build
    script = os.path.join(folder, "tm_%s.py" % debugger)
    if debugger == "gdb":
        return "source %s" % script
    return 'command script import "%s"' % script.replace("\\", "\\\\").replace('"', '\\"')


def interpreter_options():
    """The options this interpreter was started with, as far as they concern the next one."""
    return subprocess._args_from_interpreter_flags()


def main():
    limit, rest = parse(sys.argv[1:])
    # Loading it here tells in time, and in Python's words, whether this interpreter can be traced.
    from . import _tracer

    environment = dict(os.environ)
    preloaded = environment.get("LD_PRELOAD", "")
    environment["TRACEMORTEM"] = str(limit)
    environment["TRACEMORTEM_LD_PRELOAD"] = preloaded
    environment["LD_PRELOAD"] = " ".join(filter(None, [os.path.realpath(_tracer.__file__), preloaded]))
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable] + interpreter_options() + rest, environment)


if __name__ == "__main__":
    main()
