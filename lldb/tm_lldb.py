"""tracemortem in lldb: `command script import` this file, then see `help tm-top`.

Afterwards `import tm_lldb` works in lldb's Python: it is this file. It has take_snapshot(), which gives a real
tracemalloc.Snapshot of the stopped process or the core, and get_object_traceback(address). This file registers the
commands; what they ask of lldb is in tm_lldb_target, the rest in the package tracemortem.
"""

import os
import sys


def _extend_path():
    """Put this folder, and with it the package tracemortem, before all else on sys.path.

    Installed, the package is in this folder; in the source tree it is where `make` puts it.
    """
    here = os.path.dirname(os.path.realpath(__file__))
    built = os.path.join(os.path.dirname(here), "build", "python")
    for path in (built, here):
        if path == here or os.path.isdir(os.path.join(path, "tracemortem")):
            sys.path[:] = [path] + [other for other in sys.path if other != path]


_extend_path()

import lldb  # noqa: E402

try:
    import tm_lldb_target
    from tracemortem.debugger import engine as _engine
    from tracemortem.debugger import shell as debugger
except ImportError as error:
    debugger, _missing = None, error

_shells = {}  # by debugger: each has its own filters


class Command:
    """One command of the engine's list; a subclass for each has its name."""

    name = ""

    def __init__(self, lldb_debugger, _):
        self._shell = _shells[lldb_debugger.GetID()]

    def __call__(self, lldb_debugger, line, context, result):
        answer = tm_lldb_target.Lldb(lldb_debugger, context)
        problem = None
        try:
            self._shell.run(answer, self.name, line)
        except debugger.CommandError as error:
            problem = str(error)
        except KeyboardInterrupt:
            problem = debugger.INTERRUPTED
        for warning in answer.warnings:
            result.AppendWarning(warning)
        if answer.pieces:
            result.Print("".join(answer.pieces))  # AppendMessage would strip blanks at the end
        if problem is None:
            result.SetStatus(lldb.eReturnStatusSuccessFinishResult)
        else:
            result.SetError(problem)

    def get_short_help(self):
        return self._shell.help(self.name).split("\n", 1)[0]

    def get_long_help(self):
        return self._shell.help(self.name).split("\n", 1)[-1].lstrip("\n")  # lldb shows the short help before it


def __lldb_init_module(lldb_debugger, _):
    """Make the engine's commands this debugger's. Where that cannot be, say why: an exception shows a Python trace."""
    if debugger is None:
        return _say("cannot import its Python package: %s\nRun `make` in tracemortem's source tree" % _missing)
    try:
        shell = _shells[lldb_debugger.GetID()] = debugger.Shell()
    except (_engine.EngineMissing, _engine.EngineError) as error:
        return _say(str(error))
    tm_lldb_target.note_cores(lldb_debugger, shell)
    for name in shell.commands():
        class_name = name.title().replace("-", "")
        globals()[class_name] = type(class_name, (Command,), {"name": name})
        _add(
            lldb_debugger, "-c %s.%s %s" % (__name__, class_name, name), shell.operand_kind(name, "") in debugger.FILES
        )


def _add(lldb_debugger, command, completes_files):
    """Register a command; with completion of file names if that is wanted and this lldb can."""
    interpreter = lldb_debugger.GetCommandInterpreter()
    for options in ("-o -C disk-file", "-o") if completes_files else ("-o",):
        result = lldb.SBCommandReturnObject()
        interpreter.HandleCommand("command script add %s %s" % (options, command), result)
        if result.Succeeded():
            return
    _say(result.GetError() or "lldb did not take the command")


def take_snapshot(lldb_debugger=None):
    """A tracemalloc.Snapshot of the selected target, a stopped process or a core: all its traces, whatever tm-filter
    says. Raises RuntimeError. The debugger is lldb.debugger, or the only one there is, unless it is given."""
    return _call(lldb_debugger, lambda shell, answer: shell.take_snapshot(answer))


def get_object_traceback(address, lldb_debugger=None):
    """The tracemalloc.Traceback of the block which holds the address, a number or an lldb.SBValue; None if none does.
    Raises RuntimeError."""

    def get(shell, answer):
        number = tm_lldb_target.address_of(address) if isinstance(address, lldb.SBValue) else address
        return shell.get_object_traceback(answer, number)

    return _call(lldb_debugger, get)


def _call(lldb_debugger, function):
    if lldb_debugger is None:
        lldb_debugger = lldb.debugger
    if (lldb_debugger is None or lldb_debugger.GetID() not in _shells) and len(_shells) == 1:
        lldb_debugger = lldb.SBDebugger.FindDebuggerWithID(next(iter(_shells)))
    if lldb_debugger is None or lldb_debugger.GetID() not in _shells:
        raise RuntimeError("tracemortem is not loaded in this debugger, or there are several: give the one you mean")
    answer = tm_lldb_target.Lldb(lldb_debugger, lldb.SBExecutionContext(lldb_debugger.GetSelectedTarget()))
    try:
        return function(_shells[lldb_debugger.GetID()], answer)
    except (debugger.CommandError, tm_lldb_target.expression.ExpressionError) as error:
        raise RuntimeError(str(error)) from None
    finally:
        for warning in answer.warnings:
            print("warning: %s" % warning, file=sys.stderr)


def _say(problem):
    print("tracemortem: %s" % problem, file=sys.stderr)
