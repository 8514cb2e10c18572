"""What is wrong with a command line or a target is said with what to type next, and the exit status tells kinds apart."""

import os
import pty
import re
import signal
import subprocess

import debuggers
import looking
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough

ENGINE = looking.engine.Engine()
NAMES = [name[3:] for name in ENGINE.commands() if name not in ("tm-filter", "tm-set")]


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["top"], 2, "missing target: give a process id, a core or a snapshot file"),
        (["diff"], 2, "missing file name"),
        (["diff", "{core}"], 2, "give OLD and NEW"),
        (["nothing"], 2, 'unknown command "nothing"; the commands are: run start stop info top'),
        (["filter", "list"], 2, "unknown command"),
        (["top", "{core}", "--jsn"], 2, 'unknown option "--jsn"; did you mean --json?'),
        (["top", "{core}", "--max-stop", "5"], 2, '"5" is not a time, such as 200ms or 2s'),
        (["top", "{core}", "--max-stop"], 2, "--max-stop needs a value"),
        (["traceback", "{core}", "self"], 2, '"self" is not an address'),
        (["traceback", "{core}", "0x7f0123456780"], 1, "no traced block contains 0x7f0123456780"),
        (["top", "999999999"], 4, "there is no process 999999999"),
        (["top", "./999999999"], 4, "cannot open ./999999999: No such file or directory"),
        (["top", "/"], 4, "is a directory"),
        (["top", COMMAND], 4, "a program or a shared library, not a core file"),
        (["save", "{core}", "/nothing/there"], 1, "cannot write /nothing/there: No such file or directory"),
    ],
)
def test_errors(words, status, message, core):
    outcome = run(*(word.format(core=core) for word in words))
    assert outcome.status == status and outcome.stdout == ""
    assert message in outcome.stderr and outcome.stderr.startswith("tracemortem")
    assert "tm-" not in outcome.stderr.replace("then tm-traceback EXPRESSION", "").replace("tm_gdb", "")


def test_a_file_of_digits_needs_its_folder(tmp_path, core):
    os.symlink(core, str(tmp_path / "4711"))
    assert run("info", "./4711", cwd=str(tmp_path)).status == 0


def test_an_untraced_process_has_a_status_of_its_own(python):
    code = "import os, sys; os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()"
    with debuggers.start_process([python, "-c", code]) as process:
        outcome = run("top", process.pid)
        assert outcome.status == 3 and outcome.stdout == "" and "tracemortem: " in outcome.stderr


def test_messages_are_not_about_debuggers():
    """Each phrase that is replaced is one of the engine's."""
    with open(os.path.join(debuggers.ROOT, "src", "cli", "help.c")) as file:
        table = file.read().split("} phrases[] = {")[1].split("\n};")[0]
    sources = ""
    for folder, _, names in os.walk(os.path.join(debuggers.ROOT, "src", "engine")):
        for name in names:
            with open(os.path.join(folder, name)) as file:
                sources += re.sub(r'"\s*\n\s*"', "", file.read())
    phrases = re.findall(r'\{"(.*?)",', table)
    assert len(phrases) == 5 and [phrase for phrase in phrases if phrase not in sources] == []
    child = subprocess.Popen(["sleep", "600"])
    outcome = run("top", child.pid)
    child.kill()
    child.wait()
    assert (
        outcome.status == 3
        and "debugger" not in outcome.stderr
        and "its executable is not found here" in outcome.stderr
    )


def test_a_process_that_ended_is_said_to_have_ended():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    outcome = run("top", child.pid)
    child.wait()
    assert outcome.status == 4 and "has ended" in outcome.stderr


def test_another_users_process_is_refused_with_what_to_type(service):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", COMMAND, "top", str(service.pid)]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=debuggers.PATIENCE)
    message = outcome.stderr.decode()
    if "failed to execute" in message:
        pytest.skip("the other user cannot reach the build")
    assert outcome.returncode == 4 and "cannot read the memory of the process %d" % service.pid in message
    assert "It is of user 0, and you are 65534: become root (sudo) or that user" in message


def test_root_without_the_capability_hears_of_the_container(service):
    if os.geteuid() != 0:
        pytest.skip("only root can drop capabilities")
    with debuggers.start_process(
        ["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-c", WAIT]
    ) as process:
        outcome = subprocess.run(
            ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", COMMAND, "top", str(process.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=debuggers.PATIENCE,
        )
        message = outcome.stderr.decode()
        assert outcome.returncode == 4 and "--cap-add SYS_PTRACE" in message


WAIT = "import os, sys; os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()"


def test_a_truncated_core_is_read_as_far_as_it_goes(core, tmp_path):
    path = tmp_path / "cut.core"
    with open(core, "rb") as file:
        path.write_bytes(file.read()[: os.path.getsize(core) // 2])
    outcome = run("top", path)
    assert re.search(r"warning: the core file .* is truncated: \d+ bytes of memory are missing", outcome.stderr)


@pytest.mark.parametrize("share", [0, 1, 5, 20, 50, 90])
def test_a_core_cut_anywhere_gives_a_part_or_a_reason(core, tmp_path, share):
    path = tmp_path / "cut.core"
    with open(core, "rb") as file:
        path.write_bytes(file.read()[: os.path.getsize(core) * share // 100])
    outcome = run("top", path)
    assert outcome.status in (0, 1, 3, 4) and (outcome.stdout or outcome.stderr)
    assert "internal" not in outcome.stderr


# -- streams


def test_a_pipe_that_closes_ends_the_command_quietly(core):
    with subprocess.Popen(
        [COMMAND, "traces", core, "-n", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        message = process.stderr.read()
    assert message == b"" and process.returncode in (0, -signal.SIGPIPE)


def test_a_full_disk_is_said(core):
    with open("/dev/full", "wb") as full:
        outcome = subprocess.run([COMMAND, "top", core], stdout=full, stderr=subprocess.PIPE)
    assert outcome.returncode == 1 and b"cannot write to standard output: No space left" in outcome.stderr


def test_on_a_terminal_rows_are_columns(core):
    master, slave = pty.openpty()
    with subprocess.Popen([COMMAND, "top", core, "-n", "2"], stdout=slave, stdin=subprocess.DEVNULL) as process:
        os.close(slave)
        text = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            text += data
    os.close(master)
    assert process.returncode == 0 and b"%" in text and b"size=" not in text


# -- help


@pytest.mark.parametrize("name", NAMES)
def test_help_is_that_of_a_command_line(name):
    outcome = run(name, "--help")
    assert (outcome.status, outcome.stderr) == (0, "")
    text = outcome.stdout
    assert "tm-" not in text.replace(".tm-core", "") and text.split("\n\n")[1].startswith(
        "Usage: tracemortem %s " % name
    )
    assert max(map(len, text.splitlines())) <= 80 and "--stop" in text
    assert not re.search("session's|debugger's language|current target", text)
    examples = text.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    assert examples[0].startswith("  tracemortem %s " % name) and all(
        line.startswith(("  tracemortem ", "      ")) for line in examples
    )
    assert run("help", name).stdout == text


def test_the_overview_names_every_command():
    text = run("--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert [
        name for name in NAMES + ["run", "completion"] if not re.search(r"^  %s\b" % name, text, re.MULTILINE)
    ] == []
    nothing = run()
    assert (nothing.status, nothing.stdout, nothing.stderr) == (2, "", text)


def test_the_version():
    assert re.fullmatch(r"tracemortem \d+\.\d+\.\d+\n", run("--version").stdout)
