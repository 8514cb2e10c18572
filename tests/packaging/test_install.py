"""`make install` puts everything where it works, away from the source tree, and `make uninstall` removes all of it.

Strategy: install into a virtual environment, whose site directory is a real one, start a program there by the start-up
hook, and ask gdb and lldb with nothing but the installed scripts, loaded by the lines that `make install` prints. Then
install into a DESTDIR, as packagers do, and look at the files.
"""

import os
import re
import subprocess

import pytest
from packing import (
    COMMANDS,
    GDB,
    LLDB,
    PROGRAM,
    ROOT,
    ROW,
    ask,
    ask_gdb,
    ask_lldb,
    clean_environment,
    files_below,
    make,
    running,
    tree,
)
from selection import thorough


class Installed:
    """An installation in a virtual environment; both have the same `prefix`."""

    def __init__(self, prefix):
        self.prefix = str(prefix)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", self.prefix], check=True)
        self.python = os.path.join(self.prefix, "bin", "python")
        self.before = tree(self.prefix)
        self.variables = ["PREFIX=" + self.prefix, "PYTHON=" + self.python]
        self.said = make("install", *self.variables)

    def run(self, code, **environment):
        command = [self.python, "-c", code]
        return subprocess.run(
            command, cwd="/", env=clean_environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def pages(self):
        """{name: the file of its manual page}"""
        folder = os.path.join(self.prefix, "share", "man", "man1")
        names = COMMANDS + ["tracemortem", "tracemortem-module", "tracemortem-run", "tracemortem-top"]
        return {name: os.path.join(folder, name + ".1") for name in names}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(os.path.realpath(str(tmp_path_factory.mktemp("install") / "prefix")))


@pytest.fixture(scope="module")
def traced(installed):
    """The pid of a program that the start-up hook traces."""
    with running([installed.python, "-c", PROGRAM], TRACEMORTEM="7") as pid:
        yield pid


def test_the_start_up_hook_traces_when_it_is_asked_to(installed):
    code = "import tracemortem; print(tracemortem.is_tracing(), tracemortem.get_traceback_limit())"
    answer = installed.run(code, TRACEMORTEM="7")
    assert (answer.stdout, answer.stderr) == (b"True 7\n", b"")


def test_the_start_up_hook_does_nothing_otherwise(installed):
    answer = installed.run("import sys; print([name for name in sys.modules if 'tracemortem' in name])")
    assert (answer.stdout, answer.stderr) == (b"[]\n", b"")


def test_the_start_up_hook_never_keeps_a_program_from_starting(installed):
    for value, said in (("many", 1), ("", 0), ("0", 0)):
        answer = installed.run("print('started')", TRACEMORTEM=value)
        assert (answer.returncode, answer.stdout, len(answer.stderr.splitlines())) == (0, b"started\n", said)


def test_the_runner_works_from_the_installation(installed):
    code = "import tracemortem; print(tracemortem.get_traceback_limit())"
    assert ask([installed.python, "-m", "tracemortem", "-f", "3", "-c", code]) == "3\n"


def test_the_command_answers_and_traces_from_the_installation(installed, traced):
    command = os.path.join(installed.prefix, "bin", "tracemortem")
    assert ROW in ask([command, "top", str(traced)])
    code = "import tracemalloc; print(tracemalloc.get_traceback_limit())"
    assert ask([command, "run", "-f", "3", "/usr/bin/python3", "-c", code]) == "3\n"
    for name in (
        "bash-completion/completions/tracemortem",
        "zsh/site-functions/_tracemortem",
        "fish/vendor_completions.d/tracemortem.fish",
    ):
        with open(os.path.join(installed.prefix, "share", name)) as file:
            assert "tracemortem --complete" in file.read()


def lines_to_add(text, file_name):
    """The lines that `make install` says to add to this file: a list for each time that it names the file."""
    parts = re.split(r"add to (~/\.\w+):\n", text)[1:]
    blocks = [re.match(r"(?:    .*\n)*", after).group() for after in parts[1::2]]
    return [
        [line.strip() for line in block.splitlines()]
        for name, block in zip(parts[::2], blocks)
        if name == "~/" + file_name
    ]


def test_install_says_what_gdb_lacks_and_the_lines_that_it_gives_mend_it(installed, traced, tmp_path):
    proposals = lines_to_add(installed.said, ".gdbinit")
    assert [len(lines) for lines in proposals] == [2, 1], installed.said
    for number, lines in enumerate(proposals):
        home = tmp_path / str(number)
        home.mkdir()
        (home / ".gdbinit").write_text("\n".join(lines) + "\n")
        text = ask([GDB, "-batch", "-p", str(traced), "-ex", "tm-top"], HOME=str(home), XDG_CONFIG_HOME=str(home))
        assert ROW in text, text


def test_install_gives_the_line_for_lldb(installed, traced, tmp_path):
    (lines,) = lines_to_add(installed.said, ".lldbinit")
    (tmp_path / ".lldbinit").write_text("\n".join(lines) + "\n")
    text = ask([LLDB, "-b", "-p", str(traced), "-o", "tm-top"], HOME=str(tmp_path))
    assert ROW in text, text


def test_install_says_so_where_gdb_looks_for_scripts():
    show = 'python print(gdb.parameter("data-directory"))'
    folder = ask([GDB, "-nx", "-batch", "-ex", show]).strip() + "/auto-load"
    text = ask(["sh", ROOT + "/src/packaging/say_next.sh"], GDB_AUTO_LOAD=folder, SHARE="/there")
    assert text.startswith("gdb loads the commands when it meets a traced process.")
    assert lines_to_add(text, ".gdbinit") == [["source /there/tm_gdb.py"]]


@pytest.mark.parametrize("ask_debugger, option", [(ask_gdb, "--gdb"), (ask_lldb, "--lldb")])
def test_the_launcher_prints_the_line_that_loads_the_commands(installed, traced, ask_debugger, option):
    command = [installed.python, "-m", "tracemortem", option]
    line = ask(command).strip()
    assert installed.prefix in line
    assert ROW in ask_debugger(traced, line, "tm-top")
    line = ask(command, PYTHONPATH=ROOT + "/build/python").strip()
    assert ROOT in line
    assert ROW in ask_debugger(traced, line, "tm-top")


def test_the_metadata_names_the_version(installed):
    code = "import importlib.metadata as m; d = m.distribution('tracemortem'); print(d.version, d.metadata['Name'])"
    answer = installed.run("import tracemortem; print(tracemortem.__version__, 'tracemortem')")
    assert installed.run(code).stdout == answer.stdout != b""


def test_a_c_program_is_built_with_the_installed_library(installed, tmp_path):
    source = tmp_path / "names.c"
    source.write_text(
        "#include <stdio.h>\n#include <tracemortem.h>\n"
        "int main(void) { for (size_t i = 0; tm_command_name(i); i++) puts(tm_command_name(i)); return 0; }\n"
    )
    lib = os.path.join(installed.prefix, "lib")
    flags = ask(["pkg-config", "--cflags", "--libs", "tracemortem"], PKG_CONFIG_PATH=lib + "/pkgconfig").split()
    program = str(tmp_path / "names")
    ask(["cc", "-Wall", "-Werror", "-o", program, str(source)] + flags)
    assert set(ask([program], LD_LIBRARY_PATH=lib).split()) >= set(COMMANDS)
    assert "[libtracemortem.so.0]" in ask(["readelf", "-d", program])


def test_each_command_and_the_launcher_has_a_page_with_the_words_of_its_help(installed):
    command = os.path.join(installed.prefix, "bin", "tracemortem")
    helps = {
        "tracemortem": ask([command, "--help"]),
        "tracemortem-module": ask([installed.python, "-m", "tracemortem", "--help"]),
        "tracemortem-run": ask([command, "run", "--help"]),
        "tracemortem-top": ask([command, "top", "--help"]),
    }
    line = ask([installed.python, "-m", "tracemortem", "--gdb"]).strip()
    for name in COMMANDS:
        helps[name] = ask([GDB, "-nx", "-batch", "-ex", line, "-ex", "help " + name])
    for name, path in installed.pages().items():
        with open(path, encoding="utf-8") as file:
            page = file.read().replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")
        words = re.findall(r"\S+", helps[name].partition("\n\n")[2])
        headings = ("Usage:", "Options:", "Examples:", "Commands:", "Exit", "status:")
        missing = [word for word in words if word not in page and word not in headings]
        assert words and not missing, (name, missing)


@thorough
def test_man_shows_the_pages_without_a_warning(installed):
    for path in installed.pages().values():
        answer = subprocess.run(
            ["man", "--warnings", "-l", path],
            env=clean_environment(MANWIDTH="80", LC_ALL="C.UTF-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert (answer.returncode, answer.stderr) == (0, b""), path
        for heading in (b"NAME", b"SYNOPSIS", b"DESCRIPTION", b"OPTIONS", b"EXAMPLES"):
            assert b"\n" + heading + b"\n" in answer.stdout, (path, heading)


def test_uninstall_leaves_nothing(installed, traced):
    assert tree(installed.prefix) > installed.before
    make("uninstall", *installed.variables)
    assert tree(installed.prefix) == installed.before


def test_what_others_put_there_remains_and_an_earlier_version_does_not(tmp_path):
    prefix = tmp_path / "prefix"
    site = prefix / "site"
    variables = ["PREFIX=%s" % prefix, "PYTHON_SITE=%s" % site, "PYTHON=/usr/bin/python3"]
    (prefix / "share" / "man" / "man1").mkdir(parents=True)
    (prefix / "share" / "man" / "man1" / "tm-other.1").write_text("somebody else's")
    (prefix / "include").mkdir()
    before = tree(prefix)
    (site / "tracemortem").mkdir(parents=True)
    (site / "tracemortem" / "gone.py").write_text("")
    (site / "tracemortem-0.0.1.dist-info").mkdir()
    make("install", *variables)
    make("install", *variables)
    assert not [name for name in tree(prefix) if "gone" in name or "0.0.1" in name]
    make("uninstall", *variables)
    assert tree(prefix) - {"site"} == before


def test_a_package_is_laid_out_below_destdir(tmp_path):
    root = tmp_path / "root"
    variables = ["DESTDIR=%s" % root, "PREFIX=/usr", "PYTHON=/usr/bin/python3", "LIBDIR=/usr/lib/x86_64-linux-gnu"]
    make("install", *variables)
    files = files_below(root)
    site, lib = "usr/lib/python3/dist-packages/", "usr/lib/x86_64-linux-gnu/"
    text = (root / site / "tracemortem/__init__.py").read_text()
    version = re.search(r'^__version__ = "(.*)"', text, re.MULTILINE).group(1)
    for name in (
        "usr/bin/tracemortem",
        "usr/include/tracemortem.h",
        lib + "libtracemortem.so",
        lib + "libtracemortem.so.0",
        lib + "libtracemortem.so." + version,
        lib + "pkgconfig/tracemortem.pc",
        site + "tracemortem.pth",
        site + "tracemortem/__init__.py",
        site + "tracemortem/_tracer.abi3.so",
        site + "tracemortem/_tracer.pyi",
        site + "tracemortem/py.typed",
        site + "tracemortem-%s.dist-info/METADATA" % version,
        "usr/share/man/man1/tm-top.1",
        "usr/share/tracemortem/tm_gdb.py",
        "usr/share/tracemortem/tm_lldb.py",
        "usr/share/gdb/auto-load/" + site + "tracemortem/_tracer.abi3.so-gdb.py",
    ):
        assert name in files
    assert (root / site / "tracemortem/engine_path.txt").read_text() == "/%slibtracemortem.so.0\n" % lib
    link = root / "usr/share/tracemortem/tracemortem"
    assert os.path.realpath(str(link)) == os.path.realpath(str(root / site / "tracemortem"))
    assert not os.path.isabs(os.readlink(str(link)))
    for name in files:
        if name.endswith((".py", ".pth", ".txt", ".pc")):
            assert str(tmp_path) not in (root / name).read_text(), name
    make("uninstall", *variables)
    assert not files_below(root)


def test_the_interpreter_looks_into_the_directory_for_packages():
    for prefix in ("/usr", "/usr/local"):
        answer = subprocess.run(
            ["make", "-s", "-n", "-C", ROOT, "uninstall", "PREFIX=" + prefix, "PYTHON=/usr/bin/python3"],
            stdout=subprocess.PIPE,
            check=True,
        )
        (folder,) = re.findall(r" SITE='(.*?)' ", answer.stdout.decode())
        show = ["/usr/bin/python3", "-c", "import site; print(*site.getsitepackages(), sep='\\n')"]
        assert folder in subprocess.run(show, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
