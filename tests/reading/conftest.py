"""Reading a recorder's file: of a process that lives, that was killed, or of which there is a core; and small cores.

Strategy: what is said of a file is compared, byte for byte, with what was said of the process while it was still.
"""

import glob
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), folder) for folder in ("support", "cli")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from claims import SERVICE  # noqa: E402


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return pythons.find()[-1].path


@pytest.fixture
def recorded(python, tmp_path):
    """A process that waits, with its recorder's file as `file`. `block` is the address of an object that its line 4
    allocated."""
    script, folder = tmp_path / "service.py", tmp_path / "files"
    folder.mkdir()
    script.write_text(SERVICE)
    environment = {"TRACEMORTEM_FILE": str(folder)}
    with debuggers.start_traced_process(python, script, frames=5, preload=True, environment=environment) as process:
        (process.file,) = glob.glob(str(folder / "*.tm-core"))
        process.block = int(process.first_line)
        yield process
