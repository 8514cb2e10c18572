"""The command `python3 -m tracemortem`: restarts the interpreter in this process, with the tracer preloaded.

The program sees its own arguments and environment, and nothing of the tracer's.
"""

import os
import subprocess
import sys
from typing import List, NoReturn, Tuple

from . import __version__

USAGE = "python3 -m tracemortem [-f NFRAME] script.py ... | -m module ... | -c code ..."
HELP = """\
Usage: python3 -m tracemortem [-f NFRAME] script.py [ARGUMENT]...
       python3 -m tracemortem [-f NFRAME] -m module [ARGUMENT]...
       python3 -m tracemortem [-f NFRAME] -c code [ARGUMENT]...

Run a Python program and trace its memory allocations, from the interpreter's
first allocation on. A debugger can then show where memory was allocated:
see `help tm-top`, `help tm-traceback` and `help tm-diff` in gdb or lldb.

  -f NFRAME, --frames=NFRAME  keep NFRAME frames for each traceback, 1 to 65535;
                              the default is 1, which costs least
  --gdb, --lldb               show the line that loads the commands into gdb or
                              lldb
  -h, --help                  show this help
  -V, --version               show the version

Examples:
  python3 -m tracemortem service.py --port 8000
  python3 -m tracemortem -f 25 -m pytest -q
  gdb -ex "$(python3 -m tracemortem --gdb)" -p PID
"""


def fail(message: str) -> NoReturn:
    """End with a message that says what to type."""
    sys.stderr.write("tracemortem: %s\nusage: %s\n" % (message, USAGE))
    sys.exit(2)


def parse(argv: List[str]) -> Tuple[int, List[str]]:
    """(number of frames, the interpreter's remaining arguments) of a command line."""
    limit = "1"
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            print(HELP, end="")
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


def loading_line(debugger: str) -> str:
    """What to type in gdb or lldb to load the commands there."""
    package = os.path.dirname(os.path.realpath(__file__))
    try:
        # The installer wrote this file.
        with open(os.path.join(package, "front_ends_path.txt"), encoding="utf-8", errors="surrogateescape") as file:
            folder = os.path.join(package, file.read().strip())
    except OSError:  # a build
        folder = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(package))), debugger)
    script = os.path.join(folder, "tm_%s.py" % debugger)
    if debugger == "gdb":
        return "source %s" % script
    return 'command script import "%s"' % script.replace("\\", "\\\\").replace('"', '\\"')


def interpreter_options() -> List[str]:
    """The options of this interpreter that the next one needs too."""
    options: List[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options


def main() -> None:
    limit, rest = parse(sys.argv[1:])
    # If this interpreter cannot be traced, this import fails now, with Python's own message.
    from . import _tracer

    environment = dict(os.environ)
    # The tracer removes both again: its own path is up to the first colon.
    environment["TRACEMORTEM_LAUNCH"] = str(limit)
    tracer = os.path.realpath(_tracer.__file__)
    environment["LD_PRELOAD"] = ":".join(
        [tracer] + [environment[name] for name in ["LD_PRELOAD"] if name in environment]
    )
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable] + interpreter_options() + rest, environment)


if __name__ == "__main__":
    main()
