"""`make deb` packs what dpkg installs; src/packaging/debian/ does the same with debhelper.

Strategy: unpack the package into a folder, look at it, and do the main job with its files.
"""

import glob
import os
import re
import shutil
import subprocess

import pytest
from packing import PROGRAM, ROOT, ROW, ask, ask_gdb, copy_sources, files_below, make, running
from selection import thorough

SITE = "usr/lib/python3/dist-packages"

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="this system has no dpkg-deb")


@pytest.fixture(scope="module")
def package():
    make("deb")
    (path,) = glob.glob(os.path.join(ROOT, "build", "deb", "*"))
    return path


@pytest.fixture(scope="module")
def unpacked(package, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], check=True, stdout=subprocess.PIPE).stdout.decode().strip()


def test_the_package_needs_the_glibc_that_its_parts_need(package):
    depends = field(package, "Depends")
    needs = re.fullmatch(r"python3 \(>= 3\.8\), libc6 \(>= (2\.\d+)\), libdw1, libelf1, zlib1g", depends)
    assert needs, depends
    command = os.path.join(ROOT, "build", "bin", "tracemortem")
    files = [command, os.path.join(ROOT, "build", "lib", "libtracemortem.so")]
    script = os.path.join(ROOT, "src", "packaging", "glibc_needs.py")
    assert ask(["/usr/bin/python3", script] + files).strip() == needs.group(1)
    assert field(package, "Version") == version()


def version():
    with open(os.path.join(ROOT, "src", "python", "tracemortem", "__init__.py")) as file:
        return re.search(r'^__version__ = "(.*)"', file.read(), re.MULTILINE).group(1)


def test_the_packages_changelog_has_the_version_of_the_sources():
    with open(os.path.join(ROOT, "src", "packaging", "debian", "changelog")) as file:
        assert file.readline().startswith("tracemortem (%s) " % version())


def test_everything_belongs_to_root_and_nothing_is_writable_by_others(package):
    listing = subprocess.run(["dpkg-deb", "-c", package], check=True, stdout=subprocess.PIPE).stdout.decode()
    for line in listing.splitlines():
        mode, owner = line.split()[:2]
        modes = ("drwxr-xr-x", "-rwxr-xr-x" if line.endswith("/bin/tracemortem") else "-rw-r--r--", "lrwxrwxrwx")
        assert owner == "root/root" and mode in modes, line


def test_the_main_job_is_done_with_the_files_of_the_package(unpacked):
    site = os.path.join(unpacked, SITE)
    (engine,) = glob.glob(unpacked + "/usr/lib/*/libtracemortem.so.0")
    with running(["/usr/bin/python3", "-S", "-m", "tracemortem", "-c", PROGRAM], PYTHONPATH=site) as pid:
        line = "source %s/usr/share/tracemortem/tm_gdb.py" % unpacked
        assert ROW in ask_gdb(pid, line, "tm-top", TRACEMORTEM_ENGINE=engine)
    assert "Version: " + version() in ask(["/usr/bin/python3", "-c", metadata_of(site)])


def metadata_of(site):
    return "import importlib.metadata as m; print('Version:', next(m.Distribution.discover(path=[%r])).version)" % site


@thorough
@pytest.mark.skipif(not shutil.which("dh"), reason="debhelper is not installed")
def test_debhelper_makes_the_same_package(unpacked, tmp_path):
    source = tmp_path / "source"
    copy_sources(source)
    shutil.copytree(os.path.join(ROOT, "src", "packaging", "debian"), str(source / "debian"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=str(source), env=environment, check=True)
    (package,) = glob.glob(str(tmp_path / "tracemortem_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, str(tmp_path / "unpacked")], check=True)
    assert {path for path in files_below(tmp_path / "unpacked")} == files_below(unpacked)
