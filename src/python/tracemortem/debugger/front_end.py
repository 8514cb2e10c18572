"""What a front end, gdb's or lldb's, must provide to the shell, and the errors that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ContextManager

from .engine import Memory, Screen

if TYPE_CHECKING:
    from .shell import Shell

INTERRUPTED = "interrupted"
RUNNING = "the process %d is running, and only a stopped one can be read\nStop it: %s"
ENDED = "the process %d has ended\nAttach to another, or open its core"


class CommandError(Exception):
    """Why a command failed, for the user: what, why, and what to type next."""


class Debugger:
    """One command's view of the debugger. A front end implements it and makes an object for each command."""

    example = "&variable"  # an expression in the debugger's language

    def write(self, text: str) -> None:
        """Show text to the user. It may come in pieces."""
        raise NotImplementedError

    def warn(self, text: str) -> None:
        """Show a line that is not part of the answer."""
        raise NotImplementedError

    def write_progress(self, text: str) -> None:
        """Show this at once if standard error is a terminal, else not at all. The text may begin with a \\r."""

    def screen(self) -> Screen | None:
        """The terminal at which the command was typed and that shows the answer; None: no terminal."""
        return None

    def should_stop(self) -> bool:
        """Whether the user pressed Ctrl-C. Raising KeyboardInterrupt anywhere has the same effect."""
        return False

    def current(self, shell: Shell) -> ContextManager[Memory | None]:
        """A context manager: the selected process or core as a Memory, or None."""
        raise NotImplementedError

    def current_machine(self) -> int | None:
        """The ELF number of the current target's machine, or None."""
        return None

    def evaluate(self, text: str) -> int:
        """The value of an expression as an address. Runs nothing in the target and writes nothing to it. Raises
        ExpressionError."""
        raise NotImplementedError
