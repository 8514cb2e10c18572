"""Which tests `make test` runs, and which only `make test-all` does.

    @light(lambda python, debugger: is_newest(python) or debugger == "gdb")
    def test_something(python, debugger): ...

`make test` runs those combinations of a test's parameters for which the condition holds; `make test-all` (pytest --all)
runs all. @thorough leaves a whole test to `make test-all`. A condition of a whole file (pytestmark) does not concern the
tests that lack its parameters. Tests of a CPython without a condition run with the oldest, the newest and the system's;
with the newest in every debugger, with the others in gdb.

A CPython is a pythons.Python or a path.
"""

import inspect

import pytest
import pythons


def light(condition):
    """`make test` runs the combinations of parameters, named as the arguments of the condition, for which it holds."""
    return pytest.mark.light.with_args(condition)


thorough = light(lambda: False)


def is_newest(python):
    return _path(python) == pythons.find()[-1].path


def is_oldest(python):
    return _path(python) == pythons.find()[0].path


def is_systems(python):
    return _path(python).startswith("/usr/bin/")


def is_one_of_few(python):
    """The oldest, the newest and the system's, or a build of another kind."""
    return is_newest(python) or is_oldest(python) or is_systems(python) or not _is_release(python)


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
    found = [name for name, value in values.items() if _is_python(value)]
    if not any(set(found) & set(words) for _, words in asked):
        debugger = values.get("debugger", "gdb")
        if not all((is_one_of_few if debugger == "gdb" else is_newest)(values[name]) for name in found):
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
