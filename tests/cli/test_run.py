"""`tracemortem run` starts any program with the tracer, its children too, or says in one line why it runs untraced."""

import os
import shutil
import subprocess
import sys

import debuggers
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough

STATE = "import tracemalloc; print(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())"
SYSTEMS = "/usr/bin/python3"


def test_a_program_and_its_children_are_traced(python):
    both = "import subprocess, sys; print(flush=True); subprocess.run([sys.executable, '-c', %r]); exec(%r)" % (
        STATE,
        STATE,
    )
    outcome = run("run", "-f", 7, python, "-c", both)
    assert outcome == (0, "\nTrue 7\nTrue 7\n", "")
    assert run("run", "--frames=3", "sh", "-c", "exec %s -c '%s'" % (python, STATE)).stdout == "True 3\n"
    assert run("run", python, "-c", STATE).stdout == "True 1\n"


def test_the_detail_is_passed_on(python):
    code = "import os; print(os.environ.get('TRACEMORTEM_DETAIL'))"
    assert run("run", "--detail=full", python, "-c", code).stdout == "full\n"
    assert run("run", python, "-c", code).stdout == "None\n"


def test_arguments_and_statuses_are_the_programs_own(python):
    code = "import sys; print(sys.argv[1:]); sys.exit(7)"
    assert run("run", "--", python, "-c", code, "-f", "--help") == (7, "['-f', '--help']\n", "")
    assert run("run", "/nothing/there").status == 127
    assert run("run", "/etc/passwd").status == 126


def test_a_script_is_run_as_its_first_line_says(tmp_path):
    script = tmp_path / "with space.py"
    script.write_text("#!%s\n%s\n" % (SYSTEMS, STATE))
    script.chmod(0o755)
    assert run("run", script).stdout == "True 1\n"
    assert run("run", "with space.py", environment={"PATH": str(tmp_path)}).stdout == "True 1\n"


@pytest.mark.parametrize("before", ["", "libm.so.6", "libm.so.6 libdl.so.2"])
def test_what_was_preloaded_before_still_is(python, before):
    code = "import os; print(os.environ['LD_PRELOAD'])"
    outcome = run("run", python, "-c", code, environment={"LD_PRELOAD": before} if before else {})
    assert outcome.stdout == debuggers.TRACER + (":" + before if before else "") + "\n"


def copied(folder):
    """The command and the tracer beside it, in this folder."""
    folder.mkdir()
    shutil.copy(COMMAND, str(folder))
    shutil.copy(debuggers.TRACER, str(folder))
    return str(folder / "tracemortem")


@pytest.mark.parametrize("name", ["a space", "a:colon", "a$b", "Übung", "a;b"])
def test_a_tracer_in_a_folder_of_any_name_is_preloaded(python, tmp_path, name):
    program = copied(tmp_path / name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    outcome = run("run", python, "-c", STATE, program=program, environment={"TMPDIR": str(temporary)})
    assert outcome == (0, "True 1\n", "")
    links = os.listdir(str(temporary))
    # Children may be started at any time, so the link remains.
    assert len(links) == (0 if name == "Übung" else 1)
    failed = run("run", "/nothing", program=program, environment={"TMPDIR": str(temporary)})
    assert failed.status == 127 and os.listdir(str(temporary)) == links


def test_a_missing_tracer_is_said_and_the_program_runs(python, tmp_path):
    folder = tmp_path / "alone"
    program = copied(folder)
    os.remove(str(folder / "_tracer.abi3.so"))
    outcome = run("run", python, "-c", STATE, program=program)
    assert (outcome.status, outcome.stdout) == (0, "False 1\n")
    (line,) = outcome.stderr.splitlines()
    assert line.endswith("_tracer.abi3.so is missing; continuing without tracing")
    assert run("run", "--tracer", debuggers.TRACER, python, "-c", STATE, program=program).stdout == "True 1\n"
    assert run("run", "--tracer", "/nothing", python, "-c", STATE).status == 2


def said(outcome):
    """The reason in the one line on stderr."""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("tracemortem: ") and line.endswith("; continuing without tracing"), line
    return line


def test_programs_that_cannot_be_traced_run_and_one_line_says_why(tmp_path):
    source = tmp_path / "x.c"
    source.write_text("int main(void) { return 5; }\n")
    static, other = str(tmp_path / "static"), tmp_path / "other"
    subprocess.run(["gcc", "-static", "-o", static, str(source)], check=True)
    outcome = run("run", static)
    assert outcome.status == 5 and "is linked statically" in said(outcome)

    data = bytearray(open(SYSTEMS, "rb").read())
    data[18] = 183  # the machine of an ELF file
    other.write_bytes(data)
    other.chmod(0o755)
    outcome = run("run", other)
    assert outcome.status != 0 and "the tracer was built for another processor than" in outcome.stderr

    at = data.index(b"ld-linux")
    data[18] = 62
    data[at : at + 8] = b"ld-muslx"
    other.write_bytes(data)
    assert "the tracer was built for glibc, which" in run("run", other).stderr


@pytest.mark.parametrize("kind", ["setuid", "capabilities"])
def test_a_program_for_which_preloading_is_forbidden_runs_untraced(kind, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("only root can make such a program and become another user")
    if kind == "capabilities" and shutil.which("setcap") is None:
        pytest.skip("no setcap (libcap2-bin)")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program, command = os.path.join(folder, "python"), os.path.join(folder, "tracemortem")
        for source, copy in ((os.path.realpath(SYSTEMS), program), (COMMAND, command)):
            shutil.copy(source, copy)
        shutil.copy(debuggers.TRACER, folder)
        if kind == "setuid":
            os.chown(program, 1, 1)
            os.chmod(program, 0o6755)
        else:
            subprocess.run(["setcap", "cap_net_bind_service+ep", program], check=True)
        outcome = subprocess.run(
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", command, "run", program, "-c", STATE],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
    assert (outcome.returncode, outcome.stdout) == (0, "False 1\n")
    assert "is setuid or has file capabilities, so LD_PRELOAD is ignored" in said(outcome)


def test_root_traces_a_program_that_is_setuid_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make such a program")
    program = tmp_path / "python"
    shutil.copy(os.path.realpath(SYSTEMS), str(program))
    program.chmod(0o4755)
    assert run("run", program, "-c", STATE) == (0, "True 1\n", "")


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "no program to run"),
        (["-f", "0", "true"], "0: not a number of frames from 1 to 65535"),
        (["-f"], "not a number of frames"),
        (["-fx", "true"], "x: not a number of frames"),
        (["--detail", "some", "true"], "some: not lean, full or sampled"),
        (["--nothing", "true"], "--nothing: unknown option"),
    ],
)
def test_wrong_command_lines(words, message):
    outcome = run("run", *words)
    assert outcome.status == 2 and message in outcome.stderr and outcome.stdout == ""


def test_the_help():
    text = run("run", "--help").stdout
    assert max(map(len, text.splitlines())) <= 80 and text.split("\n\n")[1].startswith("Usage: tracemortem run ")
    assert run("help", "run").stdout == text


def test_the_launcher_and_this_command_say_the_same(tmp_path):
    """The reasons are in two languages: each text of the C code is in the launcher's Python, too."""
    launcher = open(os.path.join(debuggers.ROOT, "src", "python", "tracemortem", "_launch.py")).read()
    for reason in (
        "%s is missing",
        "the tracer was built for another processor than %s",
        "%s is linked statically",
        "the tracer was built for %s, which %s does not use",
        "%s is setuid or has file capabilities, so LD_PRELOAD is ignored",
    ):
        assert reason in launcher and reason in open(os.path.join(debuggers.ROOT, "src", "cli", "preload.c")).read()
    assert sys.version_info >= (3, 8)
