"""The recorder: the trace table as a file that outlives the process.

Strategy: programs print a digest of their results, and an untraced run must print the same, whatever happens to the file.
The file is read by readers that are not the tracer's: by its own bytes (recordings.py) and by the command `tracemortem`,
whose `verify` checks the whole table. Programs say beside their lines how many blocks of which size are alive.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import pytest  # noqa: E402
import pythons  # noqa: E402

PYTHONS = pythons.find()


def pytest_generate_tests(metafunc):
    """`any_python`: once with each CPython found. `few_python`: the oldest, the newest, and one without the global lock."""
    if "any_python" in metafunc.fixturenames:
        found = PYTHONS + pythons.find_free_threaded()
        metafunc.parametrize("any_python", [p.path for p in found], ids=[pythons.name(p) for p in found])
    if "few_python" in metafunc.fixturenames:
        found = sorted({PYTHONS[0], PYTHONS[-1]}) + pythons.find_free_threaded()[-1:]
        metafunc.parametrize("few_python", [p.path for p in found], ids=[pythons.name(p) for p in found])


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return PYTHONS[-1].path


@pytest.fixture
def mounted(tmp_path):
    """mounted("tmpfs", "size=3m"): a new file system, mounted at the folder that is returned."""
    folders = []

    def mount(kind, options):
        folder = tmp_path / ("mounted%d" % len(folders))
        folder.mkdir()
        if subprocess.run(["mount", "-t", kind, "-o", options, "none", str(folder)], stderr=subprocess.PIPE).returncode:
            pytest.skip("mount -t %s needs root" % kind)
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def build(folder, name, *options):
    library = str(folder / (name + ".so"))
    source = os.path.join(HERE, name + ".c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, *options], check=True)
    return library


@pytest.fixture(scope="session")
def fail_maps(tmp_path_factory):
    """The library after whose fail_maps(1) no file can be mapped."""
    return build(tmp_path_factory.mktemp("recorder"), "fail_maps", "-ldl")


@pytest.fixture(scope="session")
def idle_child(tmp_path_factory):
    """The library that forks in C."""
    return build(tmp_path_factory.mktemp("recorder"), "idle_child")


@pytest.fixture(scope="session")
def fail_fallocate(tmp_path_factory):
    """The library that makes fallocate() fail from one call on."""
    return build(tmp_path_factory.mktemp("recorder"), "fail_fallocate", "-ldl")
