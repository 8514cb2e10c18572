"""`make static` builds the command as one file that needs nothing of the system it runs on."""

import os
import shutil
import subprocess

import debuggers
import pytest
from cli_command import run
from selection import thorough

pytestmark = thorough


@pytest.fixture(scope="module")
def static():
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    subprocess.run(
        ["make", "-s", "-C", debuggers.ROOT, "static"], check=True, env=environment, stderr=subprocess.DEVNULL
    )
    return os.path.join(debuggers.BUILD, "bin", "tracemortem-static")


def test_it_answers_as_the_other_one(static, service, core):
    for target in (service.pid, core):
        assert run("top", target, program=static) == run("top", target)
    assert "the static file, which cannot send" in run("push", "http://localhost", service.pid, program=static).stderr
    assert "linked statically" not in run("run", service.python, "-c", "", program=static).stderr


def test_it_runs_where_there_is_nothing_else(static, tmp_path):
    sections = subprocess.run(["readelf", "-d", static], stdout=subprocess.PIPE, check=True).stdout
    assert b"There is no dynamic section" in sections
    if os.geteuid() != 0:
        pytest.skip("only root can change the root folder")
    shutil.copy(static, str(tmp_path / "tracemortem"))
    outcome = run(str(tmp_path), "/tracemortem", "--version", program="chroot")
    assert outcome.status == 0 and outcome.stdout.startswith("tracemortem ")
    outcome = run(str(tmp_path), "/tracemortem", "top", "1", program="chroot")
    assert outcome.status == 4 and "/proc is not mounted here" in outcome.stderr
