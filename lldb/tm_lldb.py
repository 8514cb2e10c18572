"""tracemortem in lldb: `command script import` this file, then see `help tm-top`.

Afterwards `import tm_lldb` works in lldb's Python: it is this file. This file registers the commands; what they ask of
lldb is in tm_lldb_target, the rest in the package tracemortem.
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
    from tracemortem import _engine, debugger
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
    for name in shell.commands():
        class_name = name.title().replace("-", "")
        globals()[class_name] = type(class_name, (Command,), {"name": name})
        _add(lldb_debugger, "-c %s.%s %s" % (__name__, class_name, name), shell.operand_kind(name, "") == _engine.CORE)


def _add(lldb_debugger, command, completes_files):
    """Register a command; with completion of file names if that is wanted and this lldb can."""
    interpreter = lldb_debugger.GetCommandInterpreter()
    for options in ("-o -C disk-file", "-o") if completes_files else ("-o",):
        result = lldb.SBCommandReturnObject()
        interpreter.HandleCommand("command script add %s %s" % (options, command), result)
        if result.Succeeded():
            return
    _say(result.GetError() or "lldb did not take the command")


def _say(problem):
    print("tracemortem: %s" % problem, file=sys.stderr)
