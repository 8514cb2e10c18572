"""An interpreter that comes after the tracer, by dlopen(), is traced from its first allocation on; none of it harms anyone.

Strategy: a host in C (late_host.c) loads libpython in every way there is, and runs a script that holds what it says. One
host has the interpreter in its executable and loads plug-ins along its own RUNPATH.
"""

import os
import platform
import shlex
import shutil
import subprocess

import debuggers
import pytest
from test_lives import HERE, blocks, configuration, each_python

WAYS = ["global", "local", "deep", "again", "plugin", "twice"]

# With RTLD_LOCAL, Debian's extension modules cannot be loaded, with or without us. So it needs built-in modules only.
SCRIPT = """exec(compile('kept = [bytes(667) for _ in range(33)]', 'late.py', 'exec'))
import posix as os, sys
ready = int(os.environ[b"TM_READY"])
%s
os.write(ready, b"%%d\\n" %% os.getpid())
sys.stdin.readline()
"""
IMPORT = """
sys.path.insert(0, %r)
try:
    import tracemortem
    tracemortem.start(5)
    exec(compile('more = [bytes(667) for _ in range(33)]', 'imported.py', 'exec'))
except ImportError as error:
    print(error, file=sys.stderr)
""" % (
    debuggers.PACKAGE_PATH
)
FORK = "child = os.fork()"

# Before, a namespace had a libpthread of its own, whose keys were those of the others' threads. Debug builds notice.
glibc_has_its_threads = tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 34)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("late")


def compile_c(output, source, *options):
    subprocess.run(["gcc", "-O1", "-g", "-o", str(output), str(source)] + list(options), check=True)


def host(python, folder, way, code=""):
    """A command line of late_host, and the environment that the interpreter needs."""
    _, libraries, machine, version = configuration(python, "LIBDIR", "MULTIARCH", "LDVERSION")
    names = [os.path.join(libraries, part, "libpython%s.so" % version) for part in ("", machine)]
    library = next((name for name in names if os.path.exists(name)), None)
    if library is None:
        pytest.skip("%s has no shared library" % python)
    plugins = folder / version
    if not plugins.exists():
        plugins.mkdir()
        (plugins / "plugin.c").write_text(
            "extern int Py_IsInitialized(void); int plugin(void) { return Py_IsInitialized(); }"
        )
        compile_c(plugins / "libplugin.so", plugins / "plugin.c", "-shared", "-fPIC", library)
        search = "-Wl,--enable-new-dtags,-rpath,%s:%s" % (plugins, os.path.dirname(library))
        compile_c(plugins / "late_host", os.path.join(HERE, "late_host.c"), search, "-ldl")
    home = subprocess.check_output(
        [python, "-c", "import sys; print(sys.base_prefix, end='')"], universal_newlines=True
    )
    environment = {"PYTHONHOME": home, "LD_LIBRARY_PATH": os.path.dirname(library)}
    return [plugins / "late_host", os.path.realpath(library), way, SCRIPT % code], environment


def preloaded(environment):
    return dict(environment, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="5")


@each_python
@pytest.mark.parametrize("way", WAYS)
def test_an_interpreter_that_comes_later_is_traced_from_its_first_allocation(python, folder, way):
    command, environment = host(python, folder, way)
    with debuggers.start_process(command, environment=preloaded(environment)) as process:
        assert blocks(process.pid, "late.py")[1, 700] == 33
        if way == "twice":
            process.tell()
            process.ready()
            assert blocks(process.pid, "late.py")[1, 700] == 33
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0
        assert "tracemortem" not in process.stderr()


@each_python
def test_a_child_of_such_a_host_has_its_own_table(python, folder):
    command, environment = host(python, folder, "global", FORK)
    with debuggers.start_process(command, environment=preloaded(environment)) as process:
        for pid in {int(process.first_line), int(process.ready())}:
            assert blocks(pid, "late.py")[1, 700] == 33


@each_python
@pytest.mark.parametrize("way", ["global", "local", "deep", "namespace"])
@pytest.mark.parametrize("before", [False, True], ids=["alone", "preloaded"])
def test_the_tracer_can_be_imported_in_such_a_host(python, folder, way, before):
    if way == "namespace" and not glibc_has_its_threads:
        pytest.skip("Python in a namespace of its own needs glibc 2.34")
    command, environment = host(python, folder, way, IMPORT)
    environment = preloaded(environment) if before else environment
    with debuggers.start_process(command, environment=environment) as process:
        assert blocks(process.pid, "imported.py")[1, 700] == 33
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


@each_python
def test_the_second_of_two_interpreters_runs_untraced_and_an_import_says_so(python, folder, tmp_path):
    command, environment = host(python, folder, "copy", IMPORT)
    environment["TM_COPY"] = shutil.copy(command[1], tmp_path)
    with debuggers.start_process(command, environment=preloaded(environment)) as process:
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0
        assert "this process has another CPython" in process.stderr()


@each_python
@pytest.mark.skipif(not glibc_has_its_threads, reason="Python in a namespace of its own needs glibc 2.34")
def test_what_is_out_of_reach_is_said_and_runs_untraced(python, folder):
    command, environment = host(python, folder, "namespace")
    with debuggers.start_process(command, environment=preloaded(environment)) as process:
        text = debuggers.run_debugger("gdb", ["tm-info"], pid=process.pid).stderr
        assert "the tracer is loaded in this process" in text and "LD_PRELOAD" not in text
        process.tell()
        assert process.popen.wait(debuggers.PATIENCE) == 0


EMBEDDING = r"""
#include <Python.h>
#include <dlfcn.h>
int main(void)
{
    Py_Initialize();
    int failed = PyRun_SimpleString("import sys; import _struct as first; sys.stdout.write(str(sys.flags.isolated))");
    void *plugin = dlopen("libplugin_of_host.so", RTLD_NOW);
    if (plugin == NULL)
        fprintf(stderr, "%s\n", dlerror());
    return plugin == NULL || failed;
}
"""


def test_plug_ins_are_looked_for_along_the_hosts_own_search_path(tmp_path):
    """The interpreter is in the executable, so the tracer changes the executable's slots."""
    python = "/usr/bin/python3"
    include, folder, library = configuration(python, "LIBPL", "LIBRARY")
    archive = os.path.join(folder, library)
    if not os.path.exists(archive):
        pytest.skip("%s has no static library" % python)
    code = "import sysconfig as s; print(s.get_config_var('MODLIBS'), s.get_config_var('LIBS'))"
    libraries = shlex.split(subprocess.check_output([python, "-c", code], universal_newlines=True))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugin.c").write_text("int plugin;")
    compile_c(tmp_path / "plugins" / "libplugin_of_host.so", tmp_path / "plugin.c", "-shared", "-fPIC")
    (tmp_path / "host.c").write_text(EMBEDDING)
    search = ["-Wl,--enable-new-dtags,-rpath,%s" % (tmp_path / "plugins"), "-rdynamic", "-no-pie", "-I" + include]
    compile_c(tmp_path / "host", tmp_path / "host.c", *search, archive, *libraries)
    environment = preloaded(dict(os.environ))
    run = subprocess.run([str(tmp_path / "host")], env=environment, stderr=subprocess.PIPE, timeout=debuggers.PATIENCE)
    assert (run.returncode, run.stderr) == (0, b"")


def test_a_program_that_is_no_python_runs_as_ever():
    run = subprocess.run(
        ["/bin/sh", "-c", "ls / >/dev/null && echo done"],
        env=preloaded(dict(os.environ, LD_BIND_NOW="1")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=debuggers.PATIENCE,
    )
    assert (run.returncode, run.stdout) == (0, b"done\n")
