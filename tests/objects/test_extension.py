"""A C extension's missing Py_DECREF: tm-leaks names the type and the line of Python that called the extension."""

import json
import re
import subprocess

import debuggers
import pytest
from object_programs import HERE, command_line, program
from selection import is_newest, light

pytestmark = light(lambda any_python: is_newest(any_python))

SCRIPT = program("forgetting.py")
with open(SCRIPT) as source:
    LINES = {comment: number for number, line in enumerate(source, 1) for comment in re.findall(r"# ([a-z ]+)$", line)}


@pytest.fixture(scope="module")
def leaks(any_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forgetful")
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    include = subprocess.run([any_python, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    command = ["gcc", "-shared", "-fPIC", "-I" + include, "-o", str(folder / "forgetful.so"), HERE + "/forgetful.c"]
    subprocess.run(command, check=True)
    with debuggers.start_traced_process(any_python, SCRIPT, [str(folder)], frames=5, preload=True) as process:
        core = debuggers.gcore(process.pid, folder / "core")
    return json.loads(command_line(core, "tm-leaks --json -n 1000"))


def rows(leaks, kind):
    return {
        (row["type"], row["lineno"]): (row["count"], row["excess"])
        for row in leaks[kind]["statistics"]
        if row["filename"] == SCRIPT
    }


def few_less(found, wanted, free):
    """Words on the stacks of C functions may be from before, and hold a few. Up to 3.9 the interpreter's list of free
    dicts, which has 80 places, does the same."""
    assert set(found) == set(wanted)
    for key, count in wanted.items():
        least = count - (80 if free and key[0] == "dict" else 20)
        assert least <= found[key][0] <= count and found[key][1] == 1, (key, found)


def test_what_it_forgets_is_lost(any_python, leaks):
    wanted = {("str", LINES["lost label"]): 500, ("dict", LINES["lost row"]): 300}
    few_less(rows(leaks, "lost"), wanted, "3.8" in any_python or "3.9" in any_python)


def test_what_is_held_is_counted_once_too_often(leaks):
    few_less(rows(leaks, "extra"), {("str", LINES["kept label"]): 500}, False)
