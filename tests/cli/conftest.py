"""The command `tracemortem`, as it was built: on real processes, cores and snapshots.

What the answers say is tested elsewhere; here they must be gdb's, byte for byte. The rest is what a command line has:
targets, exit statuses, streams, running processes, completion.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402
from claims import SERVICE  # noqa: E402


@pytest.fixture(scope="session")
def python():
    """The newest CPython here."""
    return pythons.find()[-1].path


@pytest.fixture(scope="session")
def service(python, tmp_path_factory):
    """A traced process that waits. `block` is the address of an object that its line 4 allocated."""
    script = tmp_path_factory.mktemp("service") / "service.py"
    script.write_text(SERVICE)
    with debuggers.start_traced_process(
        python, script, frames=5, environment={"TRACEMORTEM_DETAIL": "full"}
    ) as process:
        process.block = int(process.first_line)
        process.script = str(script)
        process.python = python
        yield process


@pytest.fixture(scope="session")
def core(service, tmp_path_factory):
    """A core of `service`, by gcore."""
    return debuggers.gcore(service.pid, tmp_path_factory.mktemp("core") / "service.core")
