"""What is built is the same wherever it is built, and loads on older systems than the one that built it.

Strategy: look into the built files for the folder of the sources, and for the versions of glibc that they need; build
in two folders and compare; have the check look at a file that it must refuse.
"""

import glob
import hashlib
import os
import platform
import subprocess
import sys

import pytest
from packing import ROOT, copy_sources, make
from selection import thorough

TRACER = os.path.join(ROOT, "build", "python", "tracemortem", "_tracer.abi3.so")
ENGINE = os.path.join(ROOT, "build", "lib", "libtracemortem.so")
NEEDS = [sys.executable, os.path.join(ROOT, "src", "packaging", "glibc_needs.py")]


@pytest.mark.parametrize("path", [TRACER, ENGINE])
def test_the_folder_of_the_sources_is_not_in_what_is_built(path):
    with open(path, "rb") as file:
        assert ROOT.encode() not in file.read()


@thorough
def test_two_folders_give_the_same_bytes(tmp_path):
    sums = []
    for folder in (tmp_path / "one", tmp_path / "another folder"):
        copy_sources(folder)
        make("-j2", "all", "man", "wheel", "SOURCE_DATE_EPOCH=1600000000", root=folder)
        made = ["lib/libtracemortem.so", "python/tracemortem/_tracer.abi3.so", "man/tm-top.1", "wheel/*.whl"]
        files = [path for name in made for path in glob.glob(str(folder / "build" / name))]
        assert len(files) == 4
        sums.append([hashlib.sha256(open(path, "rb").read()).hexdigest() for path in files])
    assert sums[0] == sums[1]


@pytest.mark.parametrize("path, limit", [(TRACER, "2.17"), (ENGINE, "2.28")])
def test_what_is_built_loads_with_old_versions_of_glibc(path, limit):
    subprocess.run(NEEDS + ["--at-most", limit, path], check=True, stdout=subprocess.DEVNULL)


def test_the_tracer_needs_the_libraries_that_old_functions_are_in():
    text = subprocess.run(["readelf", "-d", TRACER], check=True, stdout=subprocess.PIPE).stdout.decode()
    for name in ("libdl.so.2", "libpthread.so.0"):
        assert "[%s]" % name in text


@pytest.mark.skipif(platform.libc_ver() < ("glibc", "2.34"), reason="this glibc gives dlsym() no newer version")
def test_the_check_names_what_needs_a_newer_glibc(tmp_path):
    source = tmp_path / "new.c"
    source.write_text('#include <dlfcn.h>\nvoid *find(void) { return dlsym(0, "x"); }\n')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "new.so"), str(source)], check=True)
    answer = subprocess.run(NEEDS + ["--at-most", "2.17", str(tmp_path / "new.so")], stderr=subprocess.PIPE)
    assert answer.returncode == 1
    assert b"needs glibc 2.34, which is newer than 2.17, for: dlsym\n" in answer.stderr
