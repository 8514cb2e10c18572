"""TRACEMORTEM_AT marks the moment at which memory is short, once, and may send a signal. A failed allocation is noted."""

import os
import signal
import subprocess
import time

import debuggers
import pytest
import recordings
from selection import thorough

pytestmark = thorough

GROWS = """if 1:
    import os, resource, signal, sys
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
    kept = []
    for _ in range(int(sys.argv[1])):
        kept.append([bytes(100) for _ in range(1000)])
        kept.append(bytearray(100000))
    try:
        kept.append(bytearray(1 << 45))
    except MemoryError:
        pass
    print(len(seen), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(python, folder, at, *arguments):
    """(what the program printed, the file it left)."""
    variables = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="2", TRACEMORTEM_FILE=str(folder))
    if at:
        variables["TRACEMORTEM_AT"] = at
    command = [python, "-c", GROWS] + [str(argument) for argument in arguments]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, timeout=debuggers.PATIENCE)
    assert done.returncode == -signal.SIGKILL
    return done.stdout.decode().strip(), recordings.File(recordings.only_file(folder))


def test_the_moment_is_marked_once_and_the_signal_comes_once(few_python, tmp_path):
    before = time.time_ns()
    said, file = run(few_python, tmp_path, "60M,signal=USR1", 400)
    moment = file.recorder
    assert said == "1" and before < moment.reached < time.time_ns()
    assert moment.limit == 60 << 20 <= moment.reached_used < 90 << 20
    assert 20 << 20 < moment.reached_traced < moment.reached_used + (1 << 20)


def test_a_limit_that_is_not_reached_is_not_marked(python, tmp_path):
    said, file = run(python, tmp_path, "900M,signal=USR1", 100)
    assert (said, file.recorder.limit, file.recorder.reached) == ("0", 900 << 20, 0)


def test_nothing_is_marked_that_is_not_asked_for(python, tmp_path):
    said, file = run(python, tmp_path, "", 300)
    assert (said, file.recorder.limit, file.recorder.reached) == ("0", 0, 0)


def test_a_share_is_of_the_address_space(python, tmp_path):
    variables = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="2", TRACEMORTEM_FILE=str(tmp_path))
    variables["TRACEMORTEM_AT"] = "50%,signal=SIGUSR1"
    command = ["sh", "-c", 'ulimit -v 400000; exec "$@"', "sh", python, "-c", GROWS, "900"]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE)
    moment = recordings.File(recordings.only_file(tmp_path)).recorder
    assert (done.stdout, moment.limit) == (b"1\n", 400000 * 1024 // 100 * 50)
    assert moment.reached_used >= moment.limit


def make_group(folder, limit):
    """A control group of 2 versions. None: not here."""
    for root, name in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = os.path.join(root, "tracemortem-%s" % folder)
        try:
            os.mkdir(group)
            with open(os.path.join(group, name), "r+") as file:  # the kernel has made it, if this is a group
                file.write(str(limit))
            return group
        except OSError:
            if os.path.isdir(group):
                os.rmdir(group)
    return None


def test_a_share_is_of_the_control_groups_limit(python, tmp_path):
    group = make_group(os.getpid(), 200 << 20)
    if group is None:
        pytest.skip("no control group with a memory limit can be made here")
    try:
        variables = dict(os.environ, LD_PRELOAD=debuggers.TRACER, TRACEMORTEM="2", TRACEMORTEM_FILE=str(tmp_path))
        variables["TRACEMORTEM_AT"] = "50%,signal=USR1"
        enter = 'echo $$ > %s/cgroup.procs; exec "$@"' % group
        done = subprocess.run(
            ["sh", "-c", enter, "sh", python, "-c", GROWS, "700"], env=variables, stdout=subprocess.PIPE
        )
        moment = recordings.File(recordings.only_file(tmp_path)).recorder
        assert (done.returncode, done.stdout, moment.limit) == (-signal.SIGKILL, b"1\n", (200 << 20) // 100 * 50)
        assert moment.limit <= moment.reached_used < 200 << 20
    finally:
        os.rmdir(group)


def test_a_failed_allocation_is_noted(few_python, tmp_path):
    said, file = run(few_python, tmp_path, "", 10)
    moment = file.recorder
    assert moment.failed >= 1 and moment.failed_at > file.note.made and moment.failed_size >= 1 << 45


@pytest.mark.parametrize("value", ["0%", "101%", "5%%", "x", "5M,signal=", "5M,signal=NONE", "5M,", "9G%"])
def test_what_makes_no_sense_is_said(python, value, tmp_path):
    with recordings.start(python, "work.py", TRACEMORTEM_AT=value) as process:
        assert process.stderr() == (
            "tracemortem: TRACEMORTEM_AT=%s: not a share such as 90%% or a size such as 512M, perhaps with "
            ",signal=USR1; continuing without tracing\n" % value
        )
        recordings.finish(process)
