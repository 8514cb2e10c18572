"""The command `python3 -m tracemortem`: restarts the interpreter in this process, with the tracer preloaded.

The program sees its own arguments and environment, and nothing of the tracer's. This file knows the command line; what
gets the tracer into the program is in _launch.py.
"""

import difflib
import os
import re
import subprocess
import sys
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Tuple

from . import __version__, _launch

USAGE = "python3 -m tracemortem [OPTION]... script.py ... | -m module ... | -c code ..."
HELP = """\
Usage: python3 -m tracemortem [OPTION]... script.py [ARGUMENT]...
       python3 -m tracemortem [OPTION]... -m module [ARGUMENT]...
       python3 -m tracemortem [OPTION]... -c code [ARGUMENT]...

Run a Python program and trace its memory allocations, from the interpreter's
first allocation on. A debugger can then show where memory was allocated:
see `help tm-top`, `help tm-traceback` and `help tm-diff` in gdb or lldb.

%s
Options of the interpreter come before -m: python3 -X dev -m tracemortem ...
Without --children the program and its child processes have the environment
that was there before.

Examples:
  python3 -m tracemortem service.py --port 8000
  python3 -m tracemortem -f 25 -m pytest -q
  python3 -m tracemortem -o /var/tmp/tables/ service.py
  python3 -m tracemortem --children -m gunicorn application
  gdb -ex "$(python3 -m tracemortem --gdb)" -p PID
"""


def fail(message: str) -> NoReturn:
    """End with a message that says what to type."""
    sys.stderr.write("tracemortem: %s\nusage: %s\n" % (message, USAGE))
    sys.exit(2)


def frames(text: str) -> int:
    """A number of frames."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 65535):
        fail("-f %s: not a number of frames from 1 to 65535" % text)
    return int(text)


def detail(text: str) -> str:
    """How much to record."""
    if text not in ("lean", "full", _launch.SAMPLED):
        fail("--detail %s: not lean, full or sampled" % text)
    return text


def pattern(text: str) -> str:
    """A name for the recorder's file."""
    if not text or re.search("%(?![phte%])", text.replace("%%", "")):
        fail("-o %s: not a file's name in which each %% is %%p, %%h, %%t, %%e or %%%%" % text)
    return text


def show(text: str) -> NoReturn:
    """Print instead of running a program."""
    print(text)
    sys.exit(0)


class Option(NamedTuple):
    """A row of the table of options."""

    names: Tuple[str, ...]
    value: str  # what its value is called; "": it has none
    use: Callable[[str], Any]  # what the option's setting is, from the value
    help: Tuple[str, ...]  # lines

    @property
    def key(self) -> str:
        return self.names[-1].lstrip("-")

    def usage(self) -> str:
        """Its names, as the help shows them."""
        forms = {False: " " + self.value, True: "=" + self.value} if self.value else {False: "", True: ""}
        return ", ".join(name + forms[name.startswith("--")] for name in self.names)


OPTIONS = (
    Option(
        ("-f", "--frames"),
        "NFRAME",
        frames,
        (
            "keep NFRAME frames for each traceback, 1 to 65535;",
            "the default is 1, which costs least, and 25 where",
            "blocks are sampled",
        ),
    ),
    Option(
        ("--detail",),
        "DETAIL",
        detail,
        (
            "lean, the default, records each block; full also",
            "counts the frames that are not kept; sampled costs",
            "least: it records a few blocks, picked by chance,",
            "from which sizes are estimated",
            "(TRACEMORTEM_SAMPLE=BYTES: one in so many bytes)",
        ),
    ),
    Option(
        ("-o", "--output"),
        "FILE",
        pattern,
        (
            "keep the trace table in this file, which is there",
            "also after the program is killed: open it like a",
            "core. %p is the process id, %e the program's name,",
            "%h the host's, %t the time in seconds. A folder:",
            "FOLDER/%e-%p.tm-core. A clean exit removes it;",
            "TRACEMORTEM_KEEP=always keeps it",
        ),
    ),
    Option(
        ("--children",),
        "",
        lambda text: True,
        (
            "trace the Python programs that it starts, too:",
            "subprocesses, multiprocessing, a server's restart.",
            "For them LD_PRELOAD and TRACEMORTEM stay in the",
            "environment; what starts with an empty environment",
            "cannot be traced",
        ),
    ),
    Option(("--gdb",), "", lambda text: show(loading_line("gdb")), ("show the line that loads the commands into gdb",)),
    Option(("--lldb",), "", lambda text: show(loading_line("lldb")), ("the same for lldb",)),
    Option(("-h", "--help"), "", lambda text: show(help_text()), ("show this help",)),
    Option(("-V", "--version"), "", lambda text: show("tracemortem %s" % __version__), ("show the version",)),
)


def help_text() -> str:
    """The help, 80 columns wide at most."""
    lines = []
    for option in OPTIONS:
        for usage, text in zip([option.usage()] + [""] * len(option.help), option.help):
            lines.append("  %-26s  %s\n" % (usage, text))
    return (HELP % "".join(lines)).rstrip("\n")


def split_option(word: str) -> Tuple[str, List[str]]:
    """(name, value in a list if it is in the same word) of a word of the command line."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, [value] if equals else []
    return word[:2], [word[2:]] if word[2:] else []


def find_option(word: str) -> Option:
    """The option of this name. The command ends if there is none."""
    for option in OPTIONS:
        if word in option.names:
            return option
    known = [name for option in OPTIONS for name in option.names]
    # A name that was begun says more than one that is like it.
    near = [name for name in known if len(word) > 2 and name.startswith(word)] or difflib.get_close_matches(word, known)
    fail("unknown option %s: %s" % (word, "did you mean %s?" % near[0] if near else "--help shows all"))


def parse(argv: List[str]) -> Tuple[Dict[str, Any], List[str]]:
    """(settings by name, the interpreter's remaining arguments) of a command line."""
    settings: Dict[str, Any] = {"frames": 0, "detail": "", "output": "", "children": False}
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-" and rest[0][:2] not in ("-m", "-c"):
        if rest[0] == "--":
            rest.pop(0)
            break
        name, values = split_option(rest.pop(0))
        option = find_option(name)
        if not option.value and values:
            fail("%s has no value" % name)
        if option.value and not values:
            if not rest:
                fail("%s needs %s" % (name, option.value))
            values.append(rest.pop(0))
        settings[option.key] = option.use("".join(values))
    if not rest:
        fail("no program to run")
    if rest[0] in ("-m", "-c") and len(rest) == 1:
        fail("%s needs an argument" % rest[0])
    return settings, rest


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
    words = list(getattr(sys, "orig_argv", []))  # from CPython 3.10 on
    before = words[: len(words) - len(sys.argv) + 1]
    if before[-2:] == ["-m", "tracemortem"]:
        return before[1:-2]
    options: List[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # It leaves these out.
    options += ["-i"] if sys.flags.inspect else []
    return options + (["-u"] if getattr(sys.stdout, "write_through", False) else [])


def problem_of(tracer: str) -> "str | None":
    """Why this interpreter cannot be traced in any way."""
    problem = _launch.why_untraceable(sys.executable, tracer)
    if problem is None:
        try:
            from . import _tracer  # noqa: F401
        except ImportError as error:
            problem = str(error)
    return problem


def main() -> None:
    settings, program = parse(sys.argv[1:])
    limit = settings["frames"] or _launch.default_limit(settings["detail"])
    if settings["output"]:
        _launch.record_into(settings["output"], settings["children"])
    command = [sys.executable] + interpreter_options() + program
    problem = problem_of(_launch.TRACER)
    if problem is not None:
        _launch.say("%s; continuing without tracing" % problem)
        if sys.executable:
            _launch.start(command, dict(os.environ))
    else:
        problem = _launch.why_not_preloaded(sys.executable)
        try:
            if problem is None:
                _launch.preload(command, limit, settings["detail"], settings["children"])
        except OSError as error:
            problem = str(error)
        _launch.say("%s; tracing begins later, inside the program" % problem)
        _launch.start_inside(limit, settings["detail"], settings["children"])
    _launch.run_here(program)


if __name__ == "__main__":
    main()
