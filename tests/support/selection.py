"""Which tests `make test` runs, and which only `make test-all` does.

    @light(lambda python, debugger: is_newest(python) or debugger == "gdb")
    def test_something(python, debugger): ...

`make test` runs those combinations of a test's parameters for which the condition holds; `make test-all` (pytest --all)
runs all. @thorough leaves a whole test to `make test-all`. A condition of a whole file (pytestmark) does not concern the
tests that lack its parameters. Without a condition on it, a CPython is the oldest or the newest, or one without the
global lock; and a debugger is gdb. With the newest, and in a test of no certain CPython, the tests of frontend/ take every
debugger: they ask whether both behave alike.

A CPython is a pythons.Python or a path.
"""

import inspect
import os

import pytest
import pythons


def light(condition):
    """`make test` runs the combinations of parameters, named as the arguments of the condition, for which it holds."""
    return pytest.mark.light.with_args(condition)


thorough = light(lambda: False)

# The folder whose tests run in every debugger.
ALIKE = os.path.join("tests", "frontend", "")


def is_newest(python):
    return _path(python) == pythons.find()[-1].path


def is_oldest(python):
    return _path(python) == pythons.find()[0].path


def is_systems(python):
    return _path(python).startswith("/usr/bin/")


def is_one_of_few(python):
    """The oldest and the newest, or a build without the global lock."""
    return is_newest(python) or is_oldest(python) or pythons.is_free_threaded(_path(python))


def is_one_of_its_version(python):
    """One of each minor version and kind: of several, the system's."""
    if is_newest(python) or is_oldest(python) or not _is_release(python):
        return True
    version = next(found.version for found in pythons.find() if found.path == _path(python))
    same = [found.path for found in pythons.find() if found.version[:2] == version[:2]]
    return _path(python) == max(same, key=lambda path: (is_systems(path), same.index(path)))


def is_light(item):
    """Whether `make test` runs this item."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    conditions = [mark.args[0] for mark in item.iter_markers("light")]
    names = [list(inspect.signature(condition).parameters) for condition in conditions]
    asked = [(condition, words) for condition, words in zip(conditions, names) if set(words) <= set(values)]
    about = {word for _, words in asked for word in words}
    found = {name for name, value in values.items() if _is_python(value)}
    if not found & about and not all(is_one_of_few(values[name]) for name in found):
        return False
    if values.get("debugger", "gdb") != "gdb" and "debugger" not in about:
        if ALIKE not in str(item.fspath) or not all(is_newest(values[name]) for name in found):
            return False
    return all(condition(*(values[name] for name in words)) for condition, words in asked)


def is_quick(item):
    """Whether `make quick` runs this item: those of `make test` with the newest CPython and with gdb."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    found = [value for value in values.values() if _is_python(value)]
    return all(map(is_newest, found)) and "lldb" not in values.values() and is_light(item)


def _path(python):
    return python if isinstance(python, str) else python.path


def _is_release(python):
    return _path(python) in {found.path for found in pythons.find()}


def _is_python(value):
    if isinstance(value, pythons.Python):
        return True
    every = pythons.find() + pythons.find_debug() + pythons.find_free_threaded()
    return isinstance(value, str) and value in {python.path for python in every}
