"""tracemortem in lldb: `command script import` this file, then see `help tm-top`.

Afterwards `import tm_lldb` works in lldb's Python: it is this file. It has take_snapshot(), which returns a real
tracemalloc.Snapshot of the stopped process or the core, get_object_traceback(address), objects(type) and
holders(address). This file registers the commands. What they need from lldb is in tm_lldb_target, and the rest in the package tracemortem.debugger.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, TypeVar


def _extend_path() -> None:
    """Put this folder and the package tracemortem first on sys.path.

    After `make install` the package is in this folder. In the source tree it is where `make` puts it.
    """
    here = os.path.dirname(os.path.realpath(__file__))
    built = os.path.join(os.path.dirname(here), "build", "python")
    for path in (built, here):
        if path == here or os.path.isdir(os.path.join(path, "tracemortem")):
            sys.path[:] = [path] + [other for other in sys.path if other != path]


_extend_path()

import lldb  # noqa: E402

_missing: Optional[ImportError] = None
try:
    import tm_lldb_target
    from tracemortem.debugger import switch
    from tracemortem.debugger.engine import EngineError, EngineMissing
    from tracemortem.debugger.expression import ExpressionError
    from tracemortem.debugger.front_end import INTERRUPTED, CommandError
    from tracemortem.debugger.header import Operand
    from tracemortem.debugger.shell import FILES, TOPIC, Shell
except ImportError as error:
    _missing = error

if TYPE_CHECKING:
    import tracemalloc

    from tracemortem.debugger.python_objects import Holders, Object

Result = TypeVar("Result")
LONGEST_WORD = 1 << 16  # of a command line, in bytes

_shells: Dict[int, Shell] = {}  # by the debugger's number: each debugger has its own filters


class Command:
    """One command of the engine's list. Each command has a subclass with its name."""

    name = ""

    def __init__(self, lldb_debugger: Any, _: Any) -> None:
        self._shell = _shells[lldb_debugger.GetID()]

    def __call__(self, lldb_debugger: Any, line: str, context: Any, result: Any) -> None:
        answer = tm_lldb_target.Lldb(lldb_debugger, context)
        problem: str | None = None
        try:
            self._shell.run(answer, self.name, line)
        except CommandError as error:
            problem = str(error)
        except KeyboardInterrupt:
            problem = INTERRUPTED
        for warning in answer.warnings:
            result.AppendWarning(warning)
        if answer.pieces:
            result.Print("".join(answer.pieces))  # AppendMessage strips blanks at the end
        if problem is None:
            result.SetStatus(lldb.eReturnStatusSuccessFinishResult)
        else:
            result.SetError(problem)

    def get_short_help(self) -> str:
        return self._shell.help(self.name).split("\n", 1)[0]

    def get_long_help(self) -> str:
        return self._shell.help(self.name).split("\n", 1)[-1].lstrip("\n")  # lldb shows the short help before it


class ParsedCommand(Command):
    """The same for an lldb that asks a command to complete its words: from 21 on, and only if lldb splits the line.

    The command has no options for lldb, so each word of the line is an argument, as it is without its quotes.
    """

    def __init__(self, lldb_debugger: Any, unused: Any) -> None:
        super().__init__(lldb_debugger, unused)
        self._debugger = lldb_debugger

    def __call__(self, lldb_debugger: Any, words: Any, context: Any, result: Any) -> None:
        line = [words.GetItemAtIndex(i).GetStringValue(LONGEST_WORD) for i in range(words.GetSize())]
        super().__call__(lldb_debugger, " ".join(map(shlex.quote, line)), context, result)

    def handle_argument_completion(self, words: List[str], position: int, cursor: int) -> Any:
        last = words[position][:cursor]
        line = " ".join(map(shlex.quote, words[:position])) + " " + (shlex.quote(last) if last else "")
        context = lldb.SBExecutionContext(self._debugger.GetSelectedTarget())
        found = self._shell.complete(tm_lldb_target.Lldb(self._debugger, context), self.name, line)
        if not found and self._shell.operand_kind(self.name, line) in FILES:
            return False  # lldb completes the names of files
        # Not True for "nothing": then lldb completes the names of files.
        return {"completion": found[0]} if len(found) == 1 else {"values": found}

    def get_options_definition(self) -> Dict[str, Any]:
        return {}

    def get_args_definition(self) -> List[Any]:
        return [[{"arg_type": lldb.eArgTypeFilename, "repeat": "star"}]]

    def get_flags(self) -> int:
        return 0

    def option_parsing_started(self) -> None:
        pass

    def set_option_value(self, context: Any, option: str, value: str) -> bool:
        return False


class Switch:
    """tm-start or tm-stop, the only commands that change the process. Each has a subclass with its name."""

    name = ""

    def __init__(self, lldb_debugger: Any, _: Any) -> None:
        pass

    def __call__(self, lldb_debugger: Any, line: str, context: Any, result: Any) -> None:
        try:
            result.Print(switch.run(tm_lldb_target.caller(context), self.name, line))
            result.SetStatus(lldb.eReturnStatusSuccessFinishResult)
        except CommandError as error:
            result.SetError(str(error))
        except KeyboardInterrupt:
            result.SetError(INTERRUPTED)

    def get_short_help(self) -> str:
        return switch.HELP[self.name].split("\n", 1)[0]

    def get_long_help(self) -> str:
        return switch.HELP[self.name].split("\n", 1)[-1].lstrip("\n")


class Topic:
    """The command "tracemortem", which shows its help: the commands by task."""

    def __init__(self, lldb_debugger: Any, _: Any) -> None:
        self._help = _shells[lldb_debugger.GetID()].help(TOPIC)

    def __call__(self, lldb_debugger: Any, line: str, context: Any, result: Any) -> None:
        result.Print(self._help)

    def get_short_help(self) -> str:
        return self._help.split("\n", 1)[0]

    def get_long_help(self) -> str:
        return self._help.split("\n", 1)[-1].lstrip("\n")


def __lldb_init_module(lldb_debugger: Any, _: Any) -> None:
    """Make the engine's commands this debugger's. If that fails, say why: an exception would show a traceback."""
    if _missing is not None:
        return _say("cannot import its Python package: %s\nRun `make` in tracemortem's source tree" % _missing)
    try:
        shell = _shells[lldb_debugger.GetID()] = Shell()
    except (EngineMissing, EngineError) as error:
        return _say(str(error))
    tm_lldb_target.note_cores(lldb_debugger, shell)
    asks = _asks_commands()
    for name in shell.commands():
        class_name = name.title().replace("-", "")
        kind = shell.operand_kind(name, "")
        # An expression is the rest of the line as it was typed, which lldb does not give to a command whose line it splits.
        parsed = asks and kind != Operand.EXPRESSION
        globals()[class_name] = type(class_name, (ParsedCommand if parsed else Command,), {"name": name})
        completion = "disk-file" if kind in FILES else "variable-path" if kind == Operand.EXPRESSION else ""
        options = "-p " if parsed else "-C %s " % completion if completion else ""
        _add(lldb_debugger, "-c %s.%s %s" % (__name__, class_name, name), options)
    for name in switch.HELP:
        class_name = name.title().replace("-", "")
        globals()[class_name] = type(class_name, (Switch,), {"name": name})
        _add(lldb_debugger, "-c %s.%s %s" % (__name__, class_name, name), "")
    _add(lldb_debugger, "-c %s.Topic %s" % (__name__, TOPIC), "")


def _asks_commands() -> bool:
    """Whether this lldb asks parsed commands for completions of arguments."""
    try:
        parsed = importlib.import_module("lldb.plugins.parsed_cmd")
    except ImportError:
        return False
    return "handle_argument_completion" in (parsed.__doc__ or "")


def _add(lldb_debugger: Any, command: str, options: str) -> None:
    """Register a command, without the options if this lldb does not know them."""
    interpreter = lldb_debugger.GetCommandInterpreter()
    for options in ("-o " + options, "-o") if options else ("-o",):
        result = lldb.SBCommandReturnObject()
        interpreter.HandleCommand("command script add %s %s" % (options, command), result)
        if result.Succeeded():
            return
    _say(result.GetError() or "lldb did not accept the command")


def take_snapshot(lldb_debugger: Any = None) -> tracemalloc.Snapshot:
    """A tracemalloc.Snapshot of the selected target, a stopped process or a core, with all its traces: tm-filter has no
    effect on it. Without an argument the debugger is lldb.debugger, or else the only one. Raises RuntimeError."""
    return _call(lldb_debugger, lambda shell, answer: shell.take_snapshot(answer))


def get_object_traceback(address: Any, lldb_debugger: Any = None) -> tracemalloc.Traceback | None:
    """The tracemalloc.Traceback of the block that contains the address, or None if no traced block does. The address
    is a number or an lldb.SBValue. Raises RuntimeError."""

    def get(shell: Shell, answer: tm_lldb_target.Lldb) -> tracemalloc.Traceback | None:
        number = tm_lldb_target.address_of(address) if isinstance(address, lldb.SBValue) else address
        return shell.get_object_traceback(answer, number)

    return _call(lldb_debugger, get)


def objects(
    type: str, attribute: str | None = None, limit: int | None = None, lldb_debugger: Any = None
) -> List[Object]:
    """The Python objects whose type's full name matches the pattern ("shop.Basket", "shop.*"), by address; `attribute`
    is NAME or NAME=VALUE, as of tm-find. tm-filter has no effect on it. Raises RuntimeError."""
    return _call(lldb_debugger, lambda shell, answer: shell.objects(answer, type, attribute, limit))


def holders(address: Any, paths: int = 1, lldb_debugger: Any = None) -> Holders:
    """What holds the object at the address, a number or an lldb.SBValue: up to so many paths from a module, a function
    or C's memory. Raises RuntimeError."""

    def get(shell: Shell, answer: tm_lldb_target.Lldb) -> Holders:
        number = tm_lldb_target.address_of(address) if isinstance(address, lldb.SBValue) else address
        return shell.holders(answer, number, paths)

    return _call(lldb_debugger, get)


def _call(lldb_debugger: Any, function: Callable[[Shell, tm_lldb_target.Lldb], Result]) -> Result:
    if lldb_debugger is None:
        lldb_debugger = lldb.debugger
    if (lldb_debugger is None or lldb_debugger.GetID() not in _shells) and len(_shells) == 1:
        lldb_debugger = lldb.SBDebugger.FindDebuggerWithID(next(iter(_shells)))
    if lldb_debugger is None or lldb_debugger.GetID() not in _shells:
        raise RuntimeError(
            "tracemortem is not loaded in this debugger, or there are several debuggers: pass the one you mean"
        )
    answer = tm_lldb_target.Lldb(lldb_debugger, lldb.SBExecutionContext(lldb_debugger.GetSelectedTarget()))
    try:
        return function(_shells[lldb_debugger.GetID()], answer)
    except (CommandError, ExpressionError) as error:
        raise RuntimeError(str(error)) from None
    finally:
        for warning in answer.warnings:
            print("warning: %s" % warning, file=sys.stderr)


def _say(problem: str) -> None:
    print("tracemortem: %s" % problem, file=sys.stderr)
