"""What `make install` installs works without the source tree, and `make uninstall` removes all of it.

Strategy: install into a virtual environment, which has a real site directory, start a program there with the start-up
hook, and ask gdb and lldb with only the installed scripts. Then install into a DESTDIR, as packagers do, and look at
the files.
"""

import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LLDB = shutil.which("lldb-19") or shutil.which("lldb") or "lldb-19"


def make(*arguments):
    # Pass on only the variables of the command line of a surrounding make.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKELEVEL", "MFLAGS")}
    subprocess.run(["make", "-s", "-C", ROOT] + list(arguments), env=environment, check=True, stdout=subprocess.PIPE)


def clean_environment(**more):
    not_theirs = ("PYTHON", "TRACEMORTEM", "LD_PRELOAD", "MAKE")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(not_theirs)}
    return dict(environment, PYTHONDONTWRITEBYTECODE="1", **more)


def tree(folder):
    """All files and folders below, as relative paths."""
    found = set()
    for path, folders, files in os.walk(folder):
        found.update(os.path.relpath(os.path.join(path, name), folder) for name in folders + files)
    return found


class Installed:
    """An installation in a virtual environment; both have the same `prefix`."""

    def __init__(self, prefix):
        self.prefix = str(prefix)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", self.prefix], check=True)
        self.python = os.path.join(self.prefix, "bin", "python")
        self.before = tree(self.prefix)
        self.variables = ["PREFIX=" + self.prefix, "PYTHON=" + self.python]
        make("install", *self.variables)

    def share(self, *parts):
        return os.path.join(self.prefix, "share", *parts)

    def run(self, code, **environment):
        command = [self.python, "-c", code]
        return subprocess.run(
            command, cwd="/", env=clean_environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(os.path.realpath(str(tmp_path_factory.mktemp("install") / "prefix")))


@pytest.fixture(scope="module")
def traced(installed):
    """The pid of a program that the start-up hook traces."""
    program = "data = bytearray(12345)\nprint('ready', flush=True)\ninput()"
    process = subprocess.Popen(
        [installed.python, "-c", program],
        cwd="/",
        env=clean_environment(TRACEMORTEM="7"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    yield process.pid
    process.communicate(b"\n", timeout=600)


def ask(command):
    """The output of a command that runs outside the source tree."""
    answer = subprocess.run(
        command,
        cwd="/",
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    text = answer.stdout.decode()
    assert answer.returncode == 0, text
    return text


def test_the_start_up_hook_traces_when_it_is_asked_to(installed):
    code = "import tracemortem; print(tracemortem.is_tracing(), tracemortem.get_traceback_limit())"
    answer = installed.run(code, TRACEMORTEM="7")
    assert (answer.stdout, answer.stderr) == (b"True 7\n", b"")


def test_the_start_up_hook_does_nothing_otherwise(installed):
    answer = installed.run("import sys; print([name for name in sys.modules if 'tracemortem' in name])")
    assert (answer.stdout, answer.stderr) == (b"[]\n", b"")


def test_the_start_up_hook_refuses_nonsense_before_the_program_starts(installed):
    answer = installed.run("print('started')", TRACEMORTEM="many")
    assert answer.returncode != 0 and answer.stdout == b"" and b"TRACEMORTEM=many" in answer.stderr


def test_the_runner_works_from_the_installation(installed):
    code = "import tracemortem; print(tracemortem.get_traceback_limit())"
    assert ask([installed.python, "-m", "tracemortem", "-f", "3", "-c", code]) == "3\n"


def test_gdb_sources_the_installed_script(installed, traced):
    source = "source " + installed.share("tracemortem", "tm_gdb.py")
    text = ask(["gdb", "-nx", "-batch", "-ex", source, "-p", str(traced), "-ex", "tm-top"])
    assert "<string>:1: size=12.1 KiB" in text


def test_gdb_loads_the_commands_from_its_auto_load_folder(installed, traced):
    folder = installed.share("gdb", "auto-load")
    look = ["-iex", "add-auto-load-scripts-directory " + folder, "-iex", "add-auto-load-safe-path " + folder]
    text = ask(["gdb", "-nx", "-batch"] + look + ["-p", str(traced), "-ex", "tm-top"])
    assert "<string>:1: size=12.1 KiB" in text


def test_lldb_imports_the_installed_script(installed, traced):
    script = "command script import " + installed.share("tracemortem", "tm_lldb.py")
    text = ask([LLDB, "-x", "-b", "-o", script, "-p", str(traced), "-o", "tm-top"])
    assert "<string>:1: size=12.1 KiB" in text


def test_uninstall_leaves_nothing(installed, traced):
    assert tree(installed.prefix) > installed.before
    make("uninstall", *installed.variables)
    assert tree(installed.prefix) == installed.before


def test_a_package_is_laid_out_below_destdir(tmp_path):
    variables = ["DESTDIR=" + str(tmp_path), "PREFIX=/usr", "PYTHON=/usr/bin/python3"]
    make("install", *variables)
    files = {name for name in tree(tmp_path) if not os.path.isdir(str(tmp_path / name))}
    site = "usr/lib/python3/dist-packages/"
    for name in (
        "usr/lib/libtracemortem.so",
        site + "tracemortem.pth",
        site + "tracemortem/__init__.py",
        site + "tracemortem/debugger/__init__.py",
        site + "tracemortem/debugger/engine.py",
        site + "tracemortem/_tracer.abi3.so",
        "usr/share/tracemortem/tm_gdb.py",
        "usr/share/tracemortem/tm_lldb.py",
        "usr/share/gdb/auto-load/" + site + "tracemortem/_tracer.abi3.so-gdb.py",
    ):
        assert name in files
    assert (tmp_path / site / "tracemortem/engine_path.txt").read_text() == "/usr/lib/libtracemortem.so\n"
    link = tmp_path / "usr/share/tracemortem/tracemortem"
    assert os.path.realpath(str(link)) == os.path.realpath(str(tmp_path / site / "tracemortem"))
    assert not os.path.isabs(os.readlink(str(link)))
    for name in files:
        if name.endswith((".py", ".pth", ".txt")):
            assert str(tmp_path) not in (tmp_path / name).read_text(), name
    make("uninstall", *variables)
    assert not {name for name in tree(tmp_path) if not os.path.isdir(str(tmp_path / name))}


def test_the_interpreter_looks_into_the_directory_for_packages():
    for prefix in ("/usr", "/usr/local"):
        answer = subprocess.run(
            ["make", "-s", "-n", "-C", ROOT, "uninstall", "PREFIX=" + prefix, "PYTHON=/usr/bin/python3"],
            stdout=subprocess.PIPE,
            check=True,
        )
        words = [word.strip("'") for word in answer.stdout.decode().split()]
        hook = [word for word in words if word.endswith("tracemortem.pth")]
        assert len(hook) == 1
        show = ["/usr/bin/python3", "-c", "import site; print(*site.getsitepackages())"]
        sites = subprocess.run(show, stdout=subprocess.PIPE, check=True).stdout.decode().split()
        assert os.path.dirname(hook[0]) in sites
