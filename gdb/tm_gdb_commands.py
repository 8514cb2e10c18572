"""The tm- commands as gdb has them: help, completion, errors, output. What they do is the engine's.

Knows gdb's command line and nothing of targets: that is tm_gdb_target.
"""

import gdb

try:
    import tm_gdb_target
    from tracemortem.debugger import engine as _engine
    from tracemortem.debugger import shell as debugger
except ImportError as error:
    debugger, _missing = None, error


_shells = []  # the one of this gdb, once it is registered


class Command(gdb.Command):
    """One command of the engine's list. gdb takes the help from the instance's __doc__."""

    def __init__(self, shell, name):
        self._shell = shell
        self._name = name
        self.__doc__ = shell.help(name)
        super().__init__(name, gdb.COMMAND_DATA)

    def invoke(self, line, from_tty):
        self.dont_repeat()
        try:
            self._shell.run(tm_gdb_target.Gdb(), self._name, line)
        except debugger.CommandError as error:
            raise gdb.GdbError(str(error)) from None
        except KeyboardInterrupt:
            raise gdb.GdbError(debugger.INTERRUPTED) from None

    def complete(self, text, word):
        last = "" if not text or text[-1].isspace() else text.split()[-1]
        words = [found for found in self._shell.complete(self._name, text) if found.startswith(last)]
        if words:
            # gdb's word may begin later than the shell's: at a "/" or a ":".
            return [found[len(last) - len(word or "") :] for found in words]
        kind = self._shell.operand_kind(self._name, text)
        if kind in debugger.FILES:
            return gdb.COMPLETE_FILENAME
        return gdb.COMPLETE_EXPRESSION if kind == _engine.EXPRESSION else gdb.COMPLETE_NONE


def register():
    """Make the engine's commands gdb's. Where that cannot be, say why: an exception would only show a Python trace."""
    if debugger is None:
        return _say("cannot import its Python package: %s\nRun `make` in tracemortem's source tree" % _missing)
    try:
        shell = debugger.Shell()
    except (_engine.EngineMissing, _engine.EngineError) as error:
        return _say(str(error))
    for name in shell.commands():
        Command(shell, name)
    _shells.append(shell)
    tm_gdb_target.watch_cores(shell)


def take_snapshot():
    """A tracemalloc.Snapshot of the selected inferior, a stopped process or a core: all its traces, whatever tm-filter
    says. Raises gdb.GdbError."""
    return _call(lambda shell: shell.take_snapshot(tm_gdb_target.Gdb()))


def get_object_traceback(address):
    """The tracemalloc.Traceback of the block which holds the address, a number or a gdb.Value; None if none does.
    Raises gdb.GdbError."""

    def get(shell):
        number = tm_gdb_target.address_of(address) if isinstance(address, gdb.Value) else address
        return shell.get_object_traceback(tm_gdb_target.Gdb(), number)

    return _call(get)


def _call(function):
    if not _shells:
        raise gdb.GdbError("tracemortem could not be loaded")
    try:
        return function(_shells[-1])
    except (debugger.CommandError, tm_gdb_target.ExpressionError) as error:
        raise gdb.GdbError(str(error)) from None


def _say(problem):
    gdb.write("tracemortem: %s\n" % problem, gdb.STDERR)
