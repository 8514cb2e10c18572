"""The front ends' tests: what gdb and lldb themselves show, with real debuggers on real processes and cores.

Other tests check what the answers say. These check help, completion, errors and exit statuses, Ctrl-C, expressions,
what is selected afterwards, and that nothing is written to the target. Some need no debugger: they check the modules
that the front ends share.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import debuggers  # noqa: E402
import pytest  # noqa: E402
import pythons  # noqa: E402

sys.path.insert(0, debuggers.PACKAGE_PATH)

SERVICE = """import os, sys
keep = [bytes(1000 + i) for i in range(300)]
number = 1
while True:
    os.write(int(os.environ["TM_READY"]), b"%d\\n" % id(keep[7]))
    if not sys.stdin.readline():
        break
    keep += [bytes(2000) for i in range(50)]
"""


@pytest.fixture(scope="session")
def python():
    """The newest CPython on this machine."""
    return pythons.find()[-1].path


@pytest.fixture(scope="session")
def service(python, tmp_path_factory):
    """A traced process that always waits. `block` is the address of an object that its line 2 allocated."""
    script = tmp_path_factory.mktemp("service") / "service.py"
    script.write_text(SERVICE)
    with debuggers.start_traced_process(python, script, frames=5) as process:
        process.block = int(process.first_line)
        process.script = str(script)
        yield process


@pytest.fixture(scope="session")
def core(service, tmp_path_factory):
    """A core of `service`."""
    return debuggers.gcore(service.pid, tmp_path_factory.mktemp("core") / "service.core")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """The path of a C program that has variables of many types and waits."""
    program = tmp_path_factory.mktemp("plain") / "plain"
    subprocess.run(["gcc", "-g", "-O0", "-o", str(program), os.path.join(HERE, "plain.c")], check=True)
    return str(program)


@pytest.fixture(scope="session")
def plain_process(plain):
    with debuggers.start_process([plain]) as process:
        yield process


@pytest.fixture(scope="session")
def plain_core(plain_process, tmp_path_factory):
    return debuggers.gcore(plain_process.pid, tmp_path_factory.mktemp("core") / "plain.core")
