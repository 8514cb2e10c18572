"""`make wheel` packs one file that pip installs for every CPython, and everything works from there.

Strategy: make the wheel once. Install it offline into a virtual environment of each CPython whose folder has a space in
its name, start a program there by the start-up hook, and load the commands by the lines that the launcher prints.
"""

import glob
import os
import re
import subprocess
import sys
import zipfile

import pytest
import pythons
from packing import PROGRAM, ROOT, ROW, ask, ask_gdb, ask_lldb, files_below, make, running
from selection import is_newest, light

GLIBC_NEEDS = os.path.join(ROOT, "src", "packaging", "glibc_needs.py")


def name(python):
    return ".".join(map(str, python.version))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    make("wheel")
    (path,) = glob.glob(os.path.join(ROOT, "build", "wheel", "*"))
    return path


# Installing with pip is slow.
pytestmark = light(lambda python: is_newest(python))


@pytest.fixture(scope="module", params=pythons.find() + pythons.find_free_threaded(), ids=name)
def python(request):
    return request.param


@pytest.fixture(scope="module")
def installed(wheel, python, tmp_path_factory):
    """The Python of a virtual environment with the wheel."""
    folder = str(tmp_path_factory.mktemp("wheel") / "a folder")
    if subprocess.run([python.path, "-c", "import ensurepip"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("%s has no pip of its own" % python.path)
    ask([python.path, "-m", "venv", folder])
    ask([folder + "/bin/python", "-m", "pip", "install", "--no-index", "--no-deps", wheel])
    return folder + "/bin/python"


def test_the_tag_says_the_newest_glibc_that_any_part_needs(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(str(tmp_path))
    libraries = [str(tmp_path / path) for path in files_below(tmp_path) if re.search(r"\.so(\.|$)", path)]
    assert len(libraries) == 2
    needs = subprocess.run([sys.executable, GLIBC_NEEDS] + libraries, check=True, stdout=subprocess.PIPE)
    version = needs.stdout.decode().strip()
    assert os.path.basename(wheel).split("-")[2:4] == ["py3", "none"]
    assert "-manylinux_%s_" % version.replace(".", "_") in os.path.basename(wheel)
    assert tuple(map(int, version.split("."))) <= (2, 28)


def test_the_main_job_is_done_from_a_wheel(installed):
    with running([installed, "-c", PROGRAM], TRACEMORTEM="3") as pid:
        for option, ask_debugger in (("--gdb", ask_gdb), ("--lldb", ask_lldb)):
            line = ask([installed, "-m", "tracemortem", option]).strip()
            assert os.path.dirname(os.path.dirname(installed)) in line
            text = ask_debugger(pid, line, "tm-top")
            assert ROW in text, text


def test_a_wheel_has_tracemallocs_functions_and_its_version(installed):
    code = (
        "import importlib.metadata as m, tracemortem; tracemortem.start(5); data = bytearray(1000);"
        "print(tracemortem.get_object_traceback(data), m.version('tracemortem') == tracemortem.__version__)"
    )
    assert ask([installed, "-c", code]) == "<string>:1 True\n"


def test_a_debuggers_path_does_not_get_the_packages_of_another_python(installed):
    with running([installed, "-c", PROGRAM]) as pid:
        line = ask([installed, "-m", "tracemortem", "--gdb"]).strip()
        show = "python import sys, tracemortem; print(tracemortem.__version__, sys.path)"
        text = ask_gdb(pid, line, show)
    assert re.search(r"^\d+\.\d+\.\d+ \[.*front_ends", text, re.MULTILINE), text
    assert "site-packages'" not in text


def test_pip_removes_all_of_it(installed):
    ask([installed, "-m", "pip", "uninstall", "--yes", "tracemortem"])
    assert not [path for path in files_below(os.path.dirname(os.path.dirname(installed))) if "tracemortem" in path]
