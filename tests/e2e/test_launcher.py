"""What `python3 -m tracemortem` starts is traced, or one line says why not; and its environment is what it was."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import debuggers
import pytest
from e2e_programs import program, run
from selection import thorough

PACKAGE = os.path.join(debuggers.PACKAGE_PATH, "tracemortem")
SYSTEMS = "/usr/bin/python3"
NOBODY = 65534
STATE = (
    "import json, os, tracemalloc; "
    "print(json.dumps([tracemalloc.is_tracing(), tracemalloc.get_traceback_limit(), dict(os.environ)]))"
)


def clean(environment):
    """The launcher's own variables in an environment."""
    return [
        name
        for name in ("LD_PRELOAD", "TRACEMORTEM", "TRACEMORTEM_LAUNCH", "TRACEMORTEM_LAUNCH_DETAIL")
        if name in environment
    ]


def copy_package(folder):
    """A copy of the package there; returns its parent for PYTHONPATH."""
    shutil.copytree(PACKAGE, os.path.join(str(folder), "tracemortem"), ignore=shutil.ignore_patterns("__pycache__"))
    return str(folder)


@contextlib.contextmanager
def public_folder():
    """A folder that every user can read."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


# ----------------------------------------------------------------------------------------------------------------------
# The environment


@pytest.mark.parametrize("preload", [None, "", "libm.so.6", "libm.so.6 libdl.so.2", "libm.so.6:libdl.so.2"])
@pytest.mark.parametrize("asked", [None, "", "5"])
def test_the_environment_is_what_it_was(python, preload, asked):
    variables = {"LD_PRELOAD": preload, "TRACEMORTEM": asked}
    variables = {name: value for name, value in variables.items() if value is not None}
    plain = run([python, "-c", STATE], **variables)
    traced = run([python, "-m", "tracemortem", "-f", 3, "-c", STATE], **variables)
    assert (traced.returncode, traced.stderr) == (0, "")
    assert json.loads(traced.stdout) == [True, 3, json.loads(plain.stdout)[2]]


def test_the_variable_of_stock_tracemalloc_is_what_it_was_and_starts_nothing(any_python):
    plain = run([any_python, "-c", STATE], PYTHONTRACEMALLOC="7")
    traced = run([any_python, "-m", "tracemortem", "-f", 3, "-c", STATE], PYTHONTRACEMALLOC="7")
    assert json.loads(plain.stdout)[:2] == [True, 7]
    assert (json.loads(traced.stdout), traced.stderr) == ([True, 3, json.loads(plain.stdout)[2]], "")
    beside = "import os; print('PYTHONTRACEMALLOC' in os.environ)"
    variables = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "3", "PYTHONTRACEMALLOC": "7"}
    assert run([any_python, "-c", beside], **variables).stdout == "False\n"


def test_the_interpreters_options_are_kept(any_python):
    code = "import sys; print(sys.flags.dev_mode, sys.flags.optimize, sys.stdout.write_through)"
    options = [any_python, "-O", "-u", "-X", "dev"]
    plain, traced = run(options + ["-c", code]), run(options + ["-m", "tracemortem", "-c", code])
    assert (traced.stdout, traced.stderr) == (plain.stdout, plain.stderr) and plain.stdout.startswith("True 1 ")


# ----------------------------------------------------------------------------------------------------------------------
# Folders whose names LD_PRELOAD splits

NAMES = ["a space", "a:colon", 'a"quote', "a$b", "two\nlines", "Übung", "a;b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_tracer_in_a_folder_of_any_name_is_preloaded_and_nothing_is_left(python, tmp_path, name):
    folder, temporary = tmp_path / name, tmp_path / "temporary"
    folder.mkdir(), temporary.mkdir()
    copy_package(folder)
    words = [python, "-c", "import sys; sys.path.insert(0, %r); " % str(folder) + AS_LAUNCHER, "-f", 3, "-c", STATE]
    outcome = run(words, PYTHONPATH="", TMPDIR=str(temporary), LD_PRELOAD="libm.so.6")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    tracing, limit, environment = json.loads(outcome.stdout)
    assert (tracing, limit, environment["LD_PRELOAD"]) == (True, 3, "libm.so.6")
    assert clean(environment) == ["LD_PRELOAD"] and os.listdir(str(temporary)) == []


# The launcher without `-m`, for a package that PYTHONPATH cannot name.
AS_LAUNCHER = "import runpy; sys.argv[0] = '-m'; runpy._run_module_as_main('tracemortem')"


def test_a_link_is_never_in_a_folder_that_ld_preload_splits_too(python, tmp_path):
    folder = tmp_path / "a space"
    folder.mkdir()
    words = [python, "-m", "tracemortem", "-c", STATE]
    outcome = run(words, PYTHONPATH=copy_package(folder), TMPDIR=str(folder))
    assert json.loads(outcome.stdout)[0] and outcome.stderr == ""


# ----------------------------------------------------------------------------------------------------------------------
# Interpreters that cannot be preloaded


def make_secure(kind, path):
    """Let the loader ignore LD_PRELOAD for a program."""
    if kind == "setuid":
        os.chown(path, 1, 1)
        os.chmod(path, 0o6755)
    else:
        subprocess.run(["setcap", "cap_net_bind_service+ep", path], check=True)


@pytest.mark.parametrize("kind", ["setuid", "capabilities"])
def test_an_interpreter_for_which_preloading_is_forbidden_is_traced_from_inside(kind):
    if os.geteuid() != 0:
        pytest.skip("only root can make such an interpreter and become another user")
    if kind == "capabilities" and shutil.which("setcap") is None:
        pytest.skip("no setcap (libcap2-bin)")
    with public_folder() as folder:
        interpreter = os.path.join(folder, "python")
        shutil.copy(os.path.realpath(SYSTEMS), interpreter)
        make_secure(kind, interpreter)
        copy_package(folder)
        outcome = subprocess.run(
            ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            + [interpreter, "-m", "tracemortem", "-f", "3", "-c", STATE],
            env={"PYTHONPATH": folder, "PATH": os.environ["PATH"]},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=debuggers.PATIENCE,
        )
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("tracemortem: ") and "LD_PRELOAD is ignored" in line and "inside the program" in line
    tracing, limit, environment = json.loads(outcome.stdout)
    assert (tracing, limit, clean(environment)) == (True, 3, [])


# The launcher, where preloading is said not to work.
FROM_INSIDE = """
import os, runpy, sys
from tracemortem import _launch
_launch.why_not_preloaded = lambda executable: "preloading is switched off"
sys.argv = ["-m"] + sys.argv[1:]
if not sys.flags.isolated:
    sys.path[0] = os.getcwd()
runpy._run_module_as_main("tracemortem")
"""
SHOW = """
import sys, tracemalloc
import __main__
tracing = tracemalloc.is_tracing() and tracemalloc.get_traceback_limit()
def here():
    pass
print(tracing, sys.argv, sys.path[0], __name__, __main__.here is here, __package__, globals().get("__file__"),
      sorted(name for name in globals() if name not in ("__builtins__", "__annotations__", "__loader__", "__spec__")))
"""


@pytest.mark.parametrize("kind", ["script", "module", "code", "folder", "archive", "compiled", "input"])
def test_a_program_that_is_traced_from_inside_sees_what_it_sees_alone(any_python, tmp_path, kind):
    (tmp_path / "show.py").write_text(SHOW)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text(SHOW)
    shutil.make_archive(str(tmp_path / "archive"), "zip", str(folder))
    compiling = "import py_compile; py_compile.compile(%r, %r)" % tuple(
        str(tmp_path / name) for name in ("show.py", "x.pyc")
    )
    run([any_python, "-c", compiling])
    words = {
        "script": [tmp_path / "show.py"],
        "module": ["-m", "show"],
        "code": ["-c", SHOW],
        "folder": [folder],
        "archive": [tmp_path / "archive.zip"],
        "compiled": [tmp_path / "x.pyc"],
        "input": ["-"],
    }[kind] + ["--a", "b c"]
    variables = {"PYTHONPATH": "%s:%s" % (debuggers.PACKAGE_PATH, tmp_path)}
    plain = run([any_python] + words, text=SHOW, **variables)
    inside = run([any_python, "-c", FROM_INSIDE, "-f", 3] + words, text=SHOW, **variables)
    assert plain.stdout.startswith("False ") and plain.stderr == ""
    assert inside.stdout == plain.stdout.replace("False", "3", 1)
    assert "preloading is switched off" in inside.stderr and len(inside.stderr.splitlines()) == 1


def test_children_of_a_program_that_is_traced_from_inside_are_preloaded_if_asked_for(python):
    words = ["--children", "-f", 3, program("starts.py"), "popen"]
    assert run([python, "-c", FROM_INSIDE] + words).stdout == "True 3\nTrue 3\n"


def test_the_status_of_a_program_that_is_traced_from_inside_is_its_own(python):
    assert run([python, "-c", FROM_INSIDE, "-c", "import sys; sys.exit(3)"]).returncode == 3
    outcome = run([python, "-c", FROM_INSIDE, "-c", "import atexit; atexit.register(print, 'end'); 1 / 0"])
    assert (outcome.returncode, outcome.stdout) == (1, "end\n") and "ZeroDivisionError" in outcome.stderr


def doctored(path, old, new, tmp_path):
    """A copy of a file with some bytes changed."""
    data = open(path, "rb").read()
    assert old in data
    copy = tmp_path / "doctored"
    copy.write_bytes(data.replace(old, new.ljust(len(old), b"\0"), 1))
    return str(copy)


@pytest.fixture
def launch():
    sys.path.insert(0, debuggers.PACKAGE_PATH)
    try:
        from tracemortem import _launch

        yield _launch
    finally:
        sys.path.remove(debuggers.PACKAGE_PATH)


def test_what_keeps_a_tracer_from_being_loaded_is_found_before_the_start(launch, tmp_path):
    python, tracer = os.path.realpath(SYSTEMS), debuggers.TRACER
    assert launch.why_untraceable(python, tracer) is None
    assert "missing" in launch.why_untraceable(python, str(tmp_path / "none.so"))

    loader = launch.Elf(python).interpreter.encode()
    musl = doctored(python, loader, b"/lib/ld-musl.so.1", tmp_path)
    assert "built for glibc" in launch.why_untraceable(musl, tracer)
    other = doctored(tracer, b"\0libc.so.6\0", b"\0libc.so\0", tmp_path)
    assert "built for musl" in launch.why_untraceable(python, other)

    machine = open(python, "rb").read(20)
    other = doctored(python, machine, machine[:18] + b"\xf3\x7f", tmp_path)
    assert "another processor" in launch.why_untraceable(other, tracer)

    source, static = tmp_path / "static.c", str(tmp_path / "static")
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-static", "-o", static, str(source)], check=True)
    assert "statically" in launch.why_untraceable(static, tracer)


def test_hostile_elf_files_are_refused_or_read(launch, tmp_path):
    """Nothing else than a ValueError, whatever the first bytes and wherever the file ends."""
    data, path = open(os.path.realpath(SYSTEMS), "rb").read(4096), tmp_path / "hostile"
    changed = [data[:end] for end in range(0, 700, 13)]
    changed += [data[:at] + bytes([byte]) + data[at + 1 :] for at in range(200) for byte in (0, 0x7F, 0xFF)]
    for content in changed:
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            launch.Elf(str(path))


def test_without_a_tracer_the_program_runs_untraced_and_one_line_says_so(python, tmp_path):
    folder = copy_package(tmp_path)
    os.remove(str(tmp_path / "tracemortem" / "_tracer.abi3.so"))
    outcome = run([python, "-m", "tracemortem", "-c", STATE], PYTHONPATH=folder)
    (line,) = outcome.stderr.splitlines()
    assert "missing" in line and line.endswith("continuing without tracing")
    tracing, _, environment = json.loads(outcome.stdout)
    assert outcome.returncode == 0 and not tracing and clean(environment) == []


# ----------------------------------------------------------------------------------------------------------------------
# Children

WAYS = ["spawn", "forkserver", "fork", "popen", "execve", "sh"]


@pytest.mark.parametrize("way", WAYS)
def test_children_are_traced_if_asked_for(any_python, tmp_path, way):
    outcome = run([any_python, "-m", "tracemortem", "--children", "-f", 3, program("starts.py"), way])
    assert (outcome.returncode, outcome.stdout) == (0, "True 3\nTrue 3\n"), outcome.stderr
    outcome = run([any_python, "-m", "tracemortem", "-f", 3, program("starts.py"), way])
    assert (outcome.returncode, outcome.stdout) == (0, "True 3\n%s\n" % ("True 3" if way == "fork" else "False 1"))


APPLICATION = """import os, tracemortem
kept = [bytes(967) for _ in range(50)]
def application(environ, start_response):
    pass
def post_worker_init(worker):
    with open(os.environ["SAID"], "w") as said:
        print(worker.ppid, worker.pid, tracemortem.is_tracing(), tracemortem.get_traceback_limit(), file=said)
"""


def next_line(lines, server):
    """The next line, unless the server ends before it comes."""
    end = time.monotonic() + debuggers.PATIENCE
    while time.monotonic() < end and server.poll() is None:
        if select.select([lines], [], [], 0.2)[0]:
            return lines.readline()
    raise AssertionError("no line came; the server's status is %s" % server.poll())


@thorough
@pytest.mark.skipif(
    subprocess.call([SYSTEMS, "-c", "import gunicorn"], stderr=subprocess.DEVNULL) != 0, reason="no gunicorn"
)
def test_gunicorn_that_starts_again_on_sigusr2_is_traced(tmp_path):
    (tmp_path / "application.py").write_text(APPLICATION)
    said = str(tmp_path / "said")
    os.mkfifo(said)
    command = [SYSTEMS, "-m", "tracemortem", "--children", "-f", "3", "-m", "gunicorn", "--bind", "unix:socket"]
    command += ["--pid", "pid", "-c", "python:application", "application"]
    environment = dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH, SAID=said)
    options = {"cwd": str(tmp_path), "env": environment, "start_new_session": True}
    masters = []
    with os.fdopen(os.open(said, os.O_RDWR)) as lines, subprocess.Popen(command, **options) as server:
        try:
            for _ in range(2):
                master, worker, tracing, limit = next_line(lines, server).split()
                masters.append(int(master))
                assert (tracing, limit) == ("True", "3")
                question = "tm-top --json --include '*/application.py'"
                (answer,) = debuggers.answers("gdb", [question], pid=int(worker))
                assert {row["lineno"]: row["size"] for row in json.loads(answer)["statistics"]}[2] >= 50 * 1000
                if len(masters) == 1:
                    server.send_signal(signal.SIGUSR2)
            assert masters[0] == server.pid != masters[1]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def test_children_of_a_tracer_in_a_folder_with_a_space_are_traced(python, tmp_path):
    folder, temporary = tmp_path / "a space", tmp_path / "temporary"
    folder.mkdir(), temporary.mkdir()
    words = [python, "-m", "tracemortem", "--children", "-f", 3, program("starts.py"), "popen"]
    outcome = run(words, PYTHONPATH=copy_package(folder), TMPDIR=str(temporary))
    assert (outcome.stdout, outcome.stderr) == ("True 3\nTrue 3\n", "")


# ----------------------------------------------------------------------------------------------------------------------
# The command line


def test_the_help_fits_80_columns_and_names_each_option(python):
    text = run([python, "-m", "tracemortem", "--help"]).stdout
    assert max(map(len, text.splitlines())) <= 80
    for option in (
        "-f NFRAME",
        "--frames=NFRAME",
        "--detail=DETAIL",
        "--children",
        "--gdb",
        "--lldb",
        "-h",
        "--version",
    ):
        assert option in text
    assert "empty environment" in text


@pytest.mark.parametrize(
    "words, said",
    [
        (["--child", "x.py"], "did you mean --children?"),
        (["--fames=3", "x.py"], "did you mean --frames?"),
        (["--zzz", "x.py"], "--help shows all"),
        (["-x", "x.py"], "--help shows all"),
        (["--children=no", "x.py"], "--children has no value"),
        (["--detail", "more", "x.py"], "--detail more: not lean, full or sampled"),
        (["--frames"], "--frames needs NFRAME"),
        (["--children"], "no program to run"),
        (["-m"], "-m needs an argument"),
    ],
)
def test_a_wrong_command_line_says_what_to_type(python, words, said):
    outcome = run([python, "-m", "tracemortem"] + words)
    assert outcome.returncode == 2 and said in outcome.stderr and "usage: " in outcome.stderr
