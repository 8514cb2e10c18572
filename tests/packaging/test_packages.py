"""`make deps` installs what the other targets need, on each release of Debian; `make packages` names it for others.

Strategy: run it with an apt-get, apt-cache and dpkg-query of our own, which know the packages of a made-up release and
write down what they are asked to install.
"""

import os
import subprocess

import pytest
from packing import ROOT

SCRIPT = os.path.join(ROOT, "src", "packaging", "packages.sh")
TOOLS = "sh sed grep awk tr paste cat id env".split()


class System:
    """A system with these package lists: `known` can be installed, `installed` is."""

    def __init__(self, folder, python, known, installed=(), lists_come_by_update=False):
        self.folder, self.log = folder, folder / "log"
        self.log.write_text("")
        (folder / "known").write_text("" if lists_come_by_update else self.lines(python, known))
        (folder / "all").write_text(self.lines(python, known))
        (folder / "installed").write_text("".join(name + "\n" for name in installed))
        for tool in TOOLS:
            path = subprocess.run(["sh", "-c", "command -v " + tool], stdout=subprocess.PIPE, check=True)
            os.symlink(path.stdout.decode().strip(), str(folder / tool))
        self.tool("dpkg-query", 'for name; do :; done; grep -qx "$name" installed && echo "ii "')
        self.tool(
            "apt-cache",
            'while read -r name version; do [ "$name" != "$2" ] || echo "  Candidate: $version"; done <known',
        )
        self.tool("apt-get", 'echo "$*" >>log; [ "$1" != update ] || cat all >known')

    @staticmethod
    def lines(python, known):
        return "python3 %s\nlibc6 2.31\n" % python + "".join("%s 1.0\n" % name for name in known)

    def tool(self, name, text):
        path = self.folder / name
        path.write_text("#!/bin/sh\ncd %s\n%s\n" % (self.folder, text))
        path.chmod(0o755)

    def run(self, *arguments):
        environment = {"PATH": str(self.folder)}
        answer = subprocess.run(
            ["/bin/sh", SCRIPT] + list(arguments),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return answer

    def installs(self, *needs):
        """What apt-get was asked to install for these needs."""
        answer = self.run("install", *needs)
        assert answer.returncode == 0, answer.stderr.decode()
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [word for line in lines if line[0] == "install" for word in line[1:] if not word.startswith("-")]


@pytest.mark.parametrize(
    "python, known, lldb",
    [
        ("3.9.2-3", ["lldb", "lldb-16", "python3-lldb", "python3-lldb-16"], "lldb-16"),
        ("3.11.2-1", ["lldb", "lldb-16", "lldb-19", "python3-lldb", "python3-lldb-16", "python3-lldb-19"], "lldb-19"),
        ("3.16.0-1", ["lldb", "lldb-30", "python3-lldb", "python3-lldb-30"], "lldb"),
    ],
)
def test_the_demo_gets_the_lldb_that_a_release_has(tmp_path, python, known, lldb):
    system = System(tmp_path, python, known + ["gdb"])
    assert system.installs("demo") == ["gdb", lldb, "python3-" + lldb]


def test_a_fresh_system_reads_the_package_lists_first(tmp_path):
    system = System(tmp_path, "3.11.2-1", ["gdb", "lldb", "python3-lldb"], lists_come_by_update=True)
    assert system.installs("demo") == ["gdb", "lldb", "python3-lldb"]


def test_apt_get_is_not_called_if_nothing_is_missing(tmp_path):
    known = ["gdb", "lldb-19", "lldb", "python3-lldb-19"]
    system = System(tmp_path, "3.11.2-1", known, installed=["gdb", "lldb", "python3-lldb-19"])
    assert system.installs("demo") == []
    assert system.log.read_text() == ""


def test_the_systems_own_python_has_the_debug_build(tmp_path):
    needs = [
        line.split()[1] for line in open(os.path.join(ROOT, "src/packaging/packages.txt")) if line.startswith("test ")
    ]
    known = [need.replace("@", "3.13") for need in needs if not need.endswith("?")]
    system = System(tmp_path, "3.13.5-1", known)
    wanted = system.installs("test")
    assert "python3.13-dbg" in wanted and "libpython3.13-testsuite" in wanted
    assert not [name for name in wanted if name.startswith("libclang")]


def test_another_system_is_shown_the_lists_of_all(tmp_path):
    system = System(tmp_path, "3.11.2-1", [])
    (tmp_path / "apt-get").unlink()
    answer = system.run("install", "build", "demo")
    text = answer.stdout.decode()
    assert answer.returncode == 0
    for name in ("Debian: apt-get install", "Fedora: dnf install", "Arch: pacman -S", "Alpine: apk add"):
        assert name in text
    assert "musl-dev" in text and "cmocka" not in text


@pytest.mark.parametrize(
    "goals, needs",
    [
        (["demo"], "build demo"),
        (["test"], "build demo wheel test"),
        (["test-all"], "build demo wheel test test-all"),
        (["check"], "build demo wheel test check"),
        (["bench"], "build demo wheel test bench"),
        (["wheel"], "build wheel"),
        (["all"], "build"),
        (["demo", "check"], "build demo wheel test check"),
        (["fault"], "build demo wheel test"),
        ([], "build demo wheel test"),
    ],
)
def test_make_deps_installs_what_the_other_targets_need(goals, needs):
    command = ["make", "-C", ROOT, "-n", "-W", "none", "deps"] + goals
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = [line for line in answer.stdout.decode().splitlines() if "packages.sh install" in line]
    assert [line.split("packages.sh install ")[1].strip() for line in lines] == [needs]
