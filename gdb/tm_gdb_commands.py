"""The tm- commands as gdb has them: help, completion, errors, output. What they do is in the engine.

This module knows gdb's command line. It knows nothing of targets: tm_gdb_target does.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Callable, List, Optional, TypeVar

import gdb

_missing: Optional[ImportError] = None
try:
    import tm_gdb_target
    import tm_gdb_values
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

_shells: List[Shell] = []  # this gdb's shell, once its commands are registered
_settings: List[tm_gdb_values.Settings] = []  # likewise


class Command(gdb.Command):
    """One command of the engine's list. gdb takes the help from the instance's __doc__."""

    def __init__(self, shell: Shell, name: str) -> None:
        self._shell = shell
        self._name = name
        self.__doc__ = shell.help(name)
        super().__init__(name, gdb.COMMAND_DATA)

    def invoke(self, line: str, from_tty: bool) -> None:
        self.dont_repeat()
        try:
            self._shell.run(tm_gdb_target.Gdb(from_tty), self._name, line)
        except CommandError as error:
            raise gdb.GdbError(str(error)) from None
        except KeyboardInterrupt:
            raise gdb.GdbError(INTERRUPTED) from None
        if self._name == tm_gdb_values.SET:
            _settings[-1].refresh()

    def complete(self, text: str, word: str | None) -> Any:
        """A list of words, or one of gdb's ways to complete."""
        last = "" if not text or text[-1].isspace() else text.split()[-1]
        quiet = tm_gdb_target.Gdb()
        quiet.warn = lambda text: None  # type: ignore  # nothing is said while a line is typed
        words = [found for found in self._shell.complete(quiet, self._name, text) if found.startswith(last)]
        if words:
            # gdb's word may begin later than the shell's: at a "/" or a ":".
            return [found[len(last) - len(word or "") :] for found in words]
        kind = self._shell.operand_kind(self._name, text)
        if kind in FILES and last == text.lstrip():
            return gdb.COMPLETE_FILENAME
        if kind in FILES:
            # gdb would take the whole line for the file's name.
            return [found[len(last) - len(word or "") :] for found in _file_names(last)]
        return gdb.COMPLETE_EXPRESSION if kind == Operand.EXPRESSION else gdb.COMPLETE_NONE


class Switch(gdb.Command):
    """tm-start or tm-stop, the only commands that change the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.__doc__ = switch.HELP[name]
        super().__init__(name, gdb.COMMAND_RUNNING, gdb.COMPLETE_NONE)

    def invoke(self, line: str, from_tty: bool) -> None:
        self.dont_repeat()
        try:
            with tm_gdb_target.selection_kept():
                gdb.write(switch.run(tm_gdb_target.caller(), self._name, line))
        except CommandError as error:
            raise gdb.GdbError(str(error)) from None
        except KeyboardInterrupt:
            raise gdb.GdbError(INTERRUPTED) from None


class Topic(gdb.Command):
    """The command "tracemortem", which shows its help: the commands by task."""

    def __init__(self, shell: Shell) -> None:
        self.__doc__ = shell.help(TOPIC)
        super().__init__(TOPIC, gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, line: str, from_tty: bool) -> None:
        self.dont_repeat()
        gdb.write(self.__doc__ or "")


def _file_names(begun: str) -> List[str]:
    """The names of files that begin so. A name that needs quotes is left out."""
    folder, start = os.path.split(begun)
    try:
        found = sorted(os.listdir(os.path.expanduser(folder) or "."))
    except OSError:
        return []
    names = [os.path.join(folder, name) for name in found if name.startswith(start)]
    plain = [name for name in names if not re.search(r"[\s'\"\\]", name)]
    return [name + "/" if os.path.isdir(os.path.expanduser(name)) else name for name in plain]


def register() -> None:
    """Make the engine's commands gdb's. If that fails, say why: an exception would only show a Python traceback."""
    if _missing is not None:
        return _say("cannot import its Python package: %s\nRun `make` in tracemortem's source tree" % _missing)
    try:
        shell = Shell()
    except (EngineMissing, EngineError) as error:
        return _say(str(error))
    for name in shell.commands():
        Command(shell, name)
    for name in switch.HELP:
        Switch(name)
    Topic(shell)
    if tm_gdb_values.SET in shell.commands():
        _settings.append(tm_gdb_values.register(shell))
    _shells.append(shell)
    tm_gdb_target.watch_cores(shell)


def take_snapshot() -> tracemalloc.Snapshot:
    """A tracemalloc.Snapshot of the selected inferior, a stopped process or a core, with all its traces: tm-filter has
    no effect on it. Raises gdb.GdbError."""
    return _call(lambda shell: shell.take_snapshot(tm_gdb_target.Gdb()))


def get_object_traceback(address: Any) -> tracemalloc.Traceback | None:
    """The tracemalloc.Traceback of the block that contains the address, or None if no traced block does. The address
    is a number or a gdb.Value. Raises gdb.GdbError."""

    def get(shell: Shell) -> tracemalloc.Traceback | None:
        number = tm_gdb_target.address_of(address) if isinstance(address, gdb.Value) else address
        return shell.get_object_traceback(tm_gdb_target.Gdb(), number)

    return _call(get)


def objects(type: str, attribute: str | None = None, limit: int | None = None) -> List[Object]:
    """The Python objects whose type's full name matches the pattern ("shop.Basket", "shop.*"), by address; `attribute`
    is NAME or NAME=VALUE, as of tm-find. tm-filter has no effect on it. Raises gdb.GdbError."""
    return _call(lambda shell: shell.objects(tm_gdb_target.Gdb(), type, attribute, limit))


def holders(address: Any, paths: int = 1) -> Holders:
    """What holds the object at the address, a number or a gdb.Value: up to so many paths from a module, a function or
    C's memory. Raises gdb.GdbError."""

    def get(shell: Shell) -> Holders:
        number = tm_gdb_target.address_of(address) if isinstance(address, gdb.Value) else address
        return shell.holders(tm_gdb_target.Gdb(), number, paths)

    return _call(get)


def _call(function: Callable[[Shell], Result]) -> Result:
    if not _shells:
        raise gdb.GdbError("tracemortem could not be loaded")
    try:
        return function(_shells[-1])
    except (CommandError, ExpressionError) as error:
        raise gdb.GdbError(str(error)) from None


def _say(problem: str) -> None:
    gdb.write("tracemortem: %s\n" % problem, gdb.STDERR)
