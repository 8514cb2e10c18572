"""A function of any usual kind can be redirected by its entry, and any unusual one is left alone."""

import os
import platform
import subprocess

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "src")
PARTS = [os.path.join(SOURCE, "tracer", name) for name in ("entry.c", "modules.c", "pages.c")]

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="only on x86-64")


@pytest.fixture(scope="module", params=[["-no-pie"], ["-pie"], ["-pie", "-fcf-protection=full", "-O2"]], ids=" ".join)
def program(request, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("entry") / "entry")
    flags = ["-std=gnu11", "-Wall", "-Werror", "-g", "-I", SOURCE, "-o", path]
    subprocess.run(["gcc"] + request.param + flags + [os.path.join(HERE, "entry.c")] + PARTS, check=True)
    return path


def test_functions_are_redirected_and_come_back_or_are_left_alone(program):
    run = subprocess.run([program], stdout=subprocess.PIPE)
    assert (run.returncode, run.stdout) == (0, b"")


def test_where_code_cannot_be_made_writable_nothing_changes(program):
    run = subprocess.run([program, "sealed"], stdout=subprocess.PIPE)
    if run.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert (run.returncode, run.stdout) == (0, b"")
