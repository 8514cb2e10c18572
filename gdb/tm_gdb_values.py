"""What gdb's own language has of tracemortem: "set tm" and "show tm", $_tm_size() and $_tm_where().

The settings are the engine's (tm-set); gdb's parameters only pass them on. This module knows no target.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Any, Callable, Dict, List, Tuple

import gdb
import tm_gdb_target
from tracemortem.debugger.front_end import CommandError
from tracemortem.debugger.shell import Shell

SET = "tm-set"

_SETTINGS: Tuple[Tuple[str, int, str, str], ...] = (
    ("limit", gdb.PARAM_ZUINTEGER, "how many rows the tm- commands show", "0 shows the totals only."),
    ("frames", gdb.PARAM_ZUINTEGER_UNLIMITED, "how many frames tm-traceback shows", '"unlimited" shows all.'),
    ("plain", gdb.PARAM_BOOLEAN, "whether rows and frames are exactly those of tracemalloc", "See --plain."),
    ("source", gdb.PARAM_BOOLEAN, "whether answers have source lines", "They are read from the files, if those exist."),
    ("folder", gdb.PARAM_OPTIONAL_FILENAME, "where relative names of source files begin", "Empty: it is not known."),
)


class _Kept(tm_gdb_target.Gdb):
    """Keeps the answer instead of showing it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class Settings:
    """gdb's parameters "tm NAME"."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        for verb in ("set", "show"):
            _Prefix(verb)
        self._parameters: List[_Parameter] = [_Parameter(self, *setting) for setting in _SETTINGS]
        self.refresh()

    def ask(self, line: str) -> Dict[str, Any]:
        """What tm-set says after this. Raises gdb.GdbError."""
        kept = _Kept()
        try:
            self._shell.run(kept, SET, "--json " + line)
        except CommandError as error:
            raise gdb.GdbError(str(error)) from None
        answer: Dict[str, Any] = json.loads(kept.text)
        return answer

    def refresh(self) -> None:
        """Give the parameters the engine's values, which tm-set may have changed."""
        values = self.ask("")
        for parameter in self._parameters:
            value = values[parameter.name]
            parameter.value = parameter.absent if value is None else value


class _Prefix(gdb.Command):
    def __init__(self, verb: str) -> None:
        self.__doc__ = "%s what tracemortem's commands do if no option says otherwise." % verb.title()
        self._verb = verb
        super().__init__(verb + " tm", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, line: str, from_tty: bool) -> None:
        """Called if no setting follows."""
        names = [setting[0] for setting in _SETTINGS]
        if line.strip() or self._verb == "set":
            raise gdb.GdbError('"%s tm" must be followed by %s' % (self._verb, ", ".join(names)))
        for name in names:
            gdb.execute("show tm " + name)


class _Parameter(gdb.Parameter):
    def __init__(self, settings: Settings, name: str, kind: int, what: str, more: str) -> None:
        self._settings = settings
        self.name = name
        self.absent: int | str = "" if kind == gdb.PARAM_OPTIONAL_FILENAME else -1
        self.set_doc, self.show_doc, self.__doc__ = "Set %s." % what, "Show %s." % what, more
        super().__init__("tm " + name, gdb.COMMAND_DATA, kind)

    def get_set_string(self) -> str:
        value = self.value
        if value is None or value == self.absent:
            word = "default"
        elif isinstance(value, bool):
            word = "on" if value else "off"
        else:
            word = shlex.quote(os.path.expanduser(str(value)))
        try:
            self._settings.ask("%s %s" % (self.name, word))
        except gdb.GdbError:
            self._settings.refresh()
            raise
        return ""

    def get_show_string(self, _: str) -> str:
        value = self._settings.ask("")[self.name]
        if isinstance(value, bool):
            value = "on" if value else "off"
        if value is None:
            value = "all" if self.name == "frames" else "default"
        return "%s: %s." % (self.show_doc[len("Show ") : -1].capitalize(), value)


class _Function(gdb.Function):
    """A function of gdb's language that looks up the block with an address."""

    def __init__(self, name: str, help_text: str, answer: Callable[[Dict[str, Any] | None], Any], shell: Shell) -> None:
        self._answer, self._shell = answer, shell
        self.__doc__ = help_text
        super().__init__(name)

    def invoke(self, address: Any) -> Any:
        number = tm_gdb_target.address_of(address)
        try:
            return self._answer(self._shell.find_block(tm_gdb_target.Gdb(), number))
        except CommandError as error:
            raise gdb.GdbError(str(error)) from None


def _size(block: Dict[str, Any] | None) -> int:
    return int(block["size"]) if block else 0


def _where(block: Dict[str, Any] | None) -> Any:
    frames = block["traceback"] if block else []
    text = "%s:%s" % (frames[-1]["filename"], frames[-1]["lineno"]) if frames else "<not traced>"
    try:
        return gdb.Value(text)
    except (gdb.error, ValueError):  # gdb's character set has no such character
        return gdb.Value(text.encode("ascii", "backslashreplace").decode())


def register(shell: Shell) -> Settings:
    _Function(
        "_tm_size", "$_tm_size(ADDRESS): the size of the traced block there, or 0 if there is none.", _size, shell
    )
    _Function(
        "_tm_where",
        '$_tm_where(ADDRESS): "FILE:LINE" that allocated the traced block there, or "<not traced>".',
        _where,
        shell,
    )
    return Settings(shell)
