"""What the front ends' callbacks give an engine. probe_engine.c takes the real engine's place and shows it.

gdb and lldb give the same bytes, regions and symbols, live and from a core. They make up nothing where a core has
holes. Two targets and Ctrl-C work.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import debuggers
import pytest
from selection import light
from tracemortem.debugger.core_file import CoreFile
from tracemortem.debugger.header import REGION_ABSENT
from tracemortem.debugger.memory import parse_maps

HERE = os.path.dirname(os.path.realpath(__file__))
STATES = ["gdb live", "gdb core", "lldb live", "lldb core"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The environment that makes front ends load the probe."""
    library = tmp_path_factory.mktemp("probe") / "libprobe.so"
    source, include = os.path.join(HERE, "probe_engine.c"), os.path.join(debuggers.ROOT, "src")
    subprocess.run(["gcc", "-shared", "-fPIC", "-I", include, "-o", str(library), source], check=True)
    return {"TRACEMORTEM_ENGINE": str(library)}


@pytest.fixture
def states(plain, plain_process, plain_core):
    """What to pass to debuggers.answers() for each of STATES."""
    live, core = {"pid": plain_process.pid}, {"program": plain, "core": plain_core}
    return {"live": live, "core": core}


def everywhere(commands, states, probe):
    """{"gdb live": [an answer for each command], …}"""
    return {
        state: debuggers.answers(state.split()[0], commands, environment=probe, **states[state.split()[1]])
        for state in STATES
    }


def only(found):
    """The one answer that all states gave."""
    assert len({json.dumps(answers) for answers in found.values()}) == 1, found
    return next(iter(found.values()))


def symbol(name, states, probe):
    (text,) = debuggers.answers("gdb", ["tm-symbol %s" % name], environment=probe, **states["core"])
    return int(text, 16)


def sections_of(pid):
    """(start, end, permissions, name) of the process's mappings."""
    with open("/proc/%d/maps" % pid) as file:
        for line in file:
            words = line.split(None, 5) + [""]
            start, end = (int(bound, 16) for bound in words[0].split("-"))
            yield start, end, words[1], words[5].strip()


# -- the same from both debuggers


def test_regions_are_those_of_the_kernel_or_of_the_core(states, plain_process, plain_core, probe):
    found = everywhere(["tm-regions"], states, probe)
    assert found["gdb live"] == found["lldb live"] and found["gdb core"] == found["lldb core"]
    with open("/proc/%d/maps" % plain_process.pid, "rb") as file:
        mapped = parse_maps(file.read())
    assert found["gdb live"][0].splitlines() == [
        "%x-%x %d %s" % (start, end, flags, name[:47].decode()) for start, end, flags, name in mapped
    ]
    held = {(s.start, s.held_end) for s in CoreFile(plain_core).segments if s.held_end > s.start}
    listed = re.findall("^([0-9a-f]+)-([0-9a-f]+) ([0-9]+)", found["gdb core"][0], re.MULTILINE)
    there = {(int(start, 16), int(end, 16)) for start, end, flags in listed if not int(flags) & REGION_ABSENT}
    assert there == held and len(held) > 5


def test_reads_are_the_same_bytes(states, plain_process, plain_core, probe):
    held = [(s.start, s.held_end) for s in CoreFile(plain_core).segments if s.writable]
    # The stack and thread areas change when a debugger detaches; the data of the program and its libraries does not.
    data = {start for start, _, _, name in sections_of(plain_process.pid) if name.startswith("/")}
    held = [(start, end) for start, end in held if start in data]
    commands = ["tm-read %#x %d" % (start, min(end - start, 1 << 20)) for start, end in held]
    commands += ["tm-read %#x %d" % (start + 3, 4099) for start, end in held if end - start > 4102]
    answers = only(everywhere(commands, states, probe))
    assert "refused\n" not in answers and len(set(answers)) > 3


def test_symbols_are_the_same_and_unknown_ones_have_no_address(states, probe):
    commands = ["tm-symbol numbers", "tm-symbol chain", "tm-symbol no_such_symbol", "tm-symbol environ"]
    numbers, chain, none, environ = (int(text, 16) for text in only(everywhere(commands, states, probe)))
    assert numbers and chain and environ and not none


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_core_without_its_program_can_be_read(debugger, plain_core, states, probe):
    numbers = symbol("numbers", states, probe)
    bare, full = (
        debuggers.answers(debugger, ["tm-read %#x 32" % numbers], environment=probe, core=plain_core, **options)
        for options in ({}, {"program": states["core"]["program"]})
    )
    assert bare == full and bare != ["refused\n"]


# -- nothing made up


def test_absurd_reads_are_refused(states, probe):
    numbers = symbol("numbers", states, probe)
    commands = [
        "tm-read %#x %d" % (numbers, length) for length in (0, (1 << 20) + 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
    ]
    commands += ["tm-read %#x 8" % address for address in (0, 8, 1 << 47, 1 << 63, (1 << 64) - 8, (1 << 64) - 4)]
    answers = only(everywhere(commands, states, probe))
    assert answers == ["refused\n"] * len(commands)


def test_code_that_the_core_left_out_is_read_from_the_file_that_was_mapped(
    states, plain, plain_process, plain_core, probe
):
    core = CoreFile(plain_core)
    left_out = [
        start
        for start, end, permissions, name in sections_of(plain_process.pid)
        if name.startswith("/") and permissions == "r-xp" and not core.holds(start, 16)
    ]
    assert left_out, "this core holds its code: coredump_filter is unusual"
    commands = ["tm-read %#x 16" % start for start in left_out]
    found = everywhere(commands, states, probe)
    assert found["gdb core"] == found["lldb core"] == found["gdb live"] == found["lldb live"]
    assert "refused\n" not in found["gdb core"]
    assert "refused\n" not in found["gdb live"] and found["gdb live"] == found["lldb live"]


def cut(path, to):
    """A copy of a core without its end."""
    with open(path, "rb") as file:
        data = file.read()
    to.write_bytes(data[: len(data) * 2 // 5 + 77])
    return str(to)


def reads_around_the_end(core):
    """Reads of a truncated core, and for each of them whether it should be refused."""
    there = [s for s in core.segments if s.held_end - s.start >= 4096]
    gone = [s for s in core.segments if s.held_end == s.start and not (s.is_file and not s.writable)]
    last = [s for s in core.segments if s.start < s.held_end and (s.held_end - s.start) % 4096]
    assert core.missing > 0 and there and gone and len(last) == 1
    reads = [(s.start, 16, False) for s in there] + [(s.start, 16, True) for s in gone]
    return reads + [(last[0].held_end - offset, 64, offset < 64) for offset in (64, 63, 0)]


def warning_of(core):
    return "warning: the core file %s is truncated: %d bytes of memory are missing" % (core.path, core.missing)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_truncated_core_is_read_as_far_as_it_goes_and_warned_of_once(debugger, plain, probe, tmp_path):
    with debuggers.start_process([plain]) as process:
        if debuggers.kernel_core(process, tmp_path / "whole.core") != "kernel":
            pytest.skip("the kernel writes no cores here, and gdb opens no truncated core of gcore")
    core = CoreFile(cut(tmp_path / "whole.core", tmp_path / "cut.core"))
    reads = reads_around_the_end(core)
    commands = ["tm-read %#x %d" % (address, length) for address, length, _ in reads]
    options = {"core": core.path, "program": plain, "environment": probe}
    answers = debuggers.answers(debugger, commands, **options)
    assert [text == "refused\n" for text in answers] == [refused for _, _, refused in reads]
    run = debuggers.run_debugger(debugger, commands, **options)
    assert (run.stdout + run.stderr).count(warning_of(core)) == 1 and run.status == 0


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_second_core_may_be_truncated_too(debugger, plain_core, states, probe, tmp_path):
    core = CoreFile(cut(plain_core, tmp_path / "cut.core"))
    reads = [(address, refused) for address, length, refused in reads_around_the_end(core) if length == 16]
    commands = ["tm-core %s %#x" % (core.path, address) for address, _ in reads]
    answers = debuggers.answers(debugger, commands, environment=probe, **states["core"])
    assert [text.startswith("refused\n") for text in answers] == [refused for _, refused in reads]
    run = debuggers.run_debugger(debugger, commands, environment=probe)
    assert (run.stdout + run.stderr).count(warning_of(core)) == 1 and run.status == 0


# -- two targets


@pytest.fixture(scope="module")
def altered(plain_core, tmp_path_factory):
    """A copy of the core in which numbers[0] is another."""
    path = tmp_path_factory.mktemp("core") / "it's altered.core"
    with open(plain_core, "rb") as file:
        data = file.read()
    marker = b"\x11" * 8 + b"\x22" * 8
    assert data.count(marker) == 1
    path.write_bytes(data.replace(marker, b"\x44" * 8 + b"\x22" * 8))
    return path


def test_two_targets_are_read_by_turns(states, altered, probe, tmp_path):
    numbers = symbol("numbers", states, probe)
    link = tmp_path / "old.core"
    link.symlink_to(altered)
    commands = ["tm-both %s %#x" % (link, numbers), "tm-read %#x 8" % numbers, "tm-core %s %#x" % (link, numbers)]
    both, current, alone = only(everywhere(commands, states, probe))
    old, new = both.splitlines()[:2]
    assert both.splitlines() == [old, new, old, new] and current == new + "\n" and alone.splitlines() == [old, old]
    assert old != new and "refused" not in both


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_two_cores_need_no_current_target(debugger, altered, states, probe, tmp_path):
    link = tmp_path / "old.core"
    link.symlink_to(altered)
    numbers = symbol("numbers", states, probe)
    (answer,) = debuggers.answers(debugger, ["tm-core %s %#x" % (link, numbers)], environment=probe)
    assert len(answer.splitlines()) == 2 and "refused" not in answer


GDB_STATE = "\n".join(
    [
        "python print('STATE', [(i.num, i.pid) for i in gdb.inferiors()], gdb.selected_inferior().num,"
        " gdb.selected_thread() and gdb.selected_thread().num,"
        " gdb.selected_thread() and (gdb.selected_frame().pc(), gdb.selected_frame().name()),"
        " [gdb.parameter(name) for name in ('may-call-functions', 'may-write-memory', 'language', 'width',"
        " 'suppress-cli-notifications', 'confirm')])"
    ]
)
CATCH_IN_GDB = """python
try:
    gdb.execute(%s)
except gdb.error as error:
    print('CAUGHT', error)
end"""
LLDB_STATE = (
    "script d = lldb.debugger; t = d.GetSelectedTarget(); h = t.GetProcess().GetSelectedThread();"
    " print('STATE', d.GetNumTargets(), d.GetIndexOfTarget(t), t.GetProcess().GetProcessID(), h.GetIndexID(),"
    " h.GetSelectedFrame().GetFrameID(), h.GetSelectedFrame().GetFunctionName())"
)


@pytest.mark.parametrize("state", STATES)
def test_the_selection_and_the_settings_are_left_as_they_were(state, states, plain_core, altered, probe, tmp_path):
    """The user has two targets and has selected an outer frame. The commands open second cores, good and bad."""
    debugger, kind = state.split()
    link, bad = tmp_path / "old.core", tmp_path / "bad.core"
    link.symlink_to(altered)
    # Its headers are a core's: they pass our check.
    bad.write_bytes(altered.read_bytes()[:4096])
    numbers = symbol("numbers", states, probe)
    tries = ["tm-both %s %#x" % (link, numbers), "tm-both /etc/passwd 0", "tm-both %s 0" % bad]
    tries += ["tm-address numbers + 1", "tm-address poke()"]
    if debugger == "gdb":
        show = GDB_STATE
        prepare = ["add-inferior", "frame 2"]
        commands = [CATCH_IN_GDB % repr(line) for line in tries]
    else:
        show = LLDB_STATE
        prepare = ["target create --core %s" % plain_core, "target select 0", "frame select -r 2"]
        commands = ["script d.HandleCommand(%r)" % line for line in tries]
    lines = prepare + [show] + [line for command in commands for line in (command, show)]
    if debugger == "gdb":
        lines = "\n".join(lines).split("\n")
    run = debuggers.run_debugger(debugger, lines, environment=probe, **states[kind])
    shown = re.findall("^STATE.*", run.stdout, re.MULTILINE)
    assert len(shown) == 1 + len(tries), run.stdout + run.stderr
    assert len(set(shown)) == 1, "\n".join(shown)
    assert re.search(r"\bstop\b", shown[0]), shown[0]
    assert "Switching to" not in run.stdout


# -- source lines


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_source_lines_are_linecaches_and_never_of_a_device_a_pipe_or_a_huge_file(debugger, states, probe, tmp_path):
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9\xe8'\n")
    (tmp_path / "utf.py").write_text("x = '\u6f22'\n", encoding="utf-8")
    (tmp_path / "bad.py").write_bytes(b"x = '\xff\xfe'\n")
    os.mkfifo(str(tmp_path / "pipe.py"))
    with open(str(tmp_path / "giant.py"), "wb") as file:
        file.truncate((64 << 20) + 1)
    asked = [
        "%s 2" % (tmp_path / "latin.py"),
        "%s 1" % (tmp_path / "utf.py"),
        "%s 1" % (tmp_path / "bad.py"),
        "%s 1" % (tmp_path / "pipe.py"),
        "%s 1" % (tmp_path / "giant.py"),
        "%s 3" % (tmp_path / "latin.py"),
        "%s 0" % (tmp_path / "utf.py"),
        "/dev/zero 1",
        "/proc/self/status 1",
        "/proc/kmsg 1",
        "<string> 1",
        "nowhere.py 1",
        "%s 1" % tmp_path,
    ]
    commands = ["tm-source %s" % words for words in asked]
    answers = debuggers.answers(debugger, commands, environment=dict(probe, LC_ALL="C.UTF-8"), **states["core"])
    assert answers == ["name = '\u00e9\u00e8'\n", "x = '\u6f22'\n"] + ["none\n"] * (len(asked) - 2)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_source_file_that_changed_is_read_again(debugger, states, probe, tmp_path):
    file = tmp_path / "changing.py"
    file.write_text("one\n")
    change = "open(%r, 'w').write('two, and longer\\\\n')" % str(file)
    change = {"gdb": "python %s" % change, "lldb": "script _ = %s" % change}[debugger].replace("\\\\", "\\")
    answers = debuggers.answers(
        debugger, ["tm-source %s 1" % file, change, "tm-source %s 1" % file], environment=probe, **states["core"]
    )
    assert (answers[0], answers[2]) == ("one\n", "two, and longer\n")


# -- errors and Ctrl-C


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_an_error_is_shown_as_it_is_and_ends_a_script_with_status_1(debugger, states, probe):
    run = debuggers.run_debugger(debugger, ["tm-fail some reason", "tm-read 0 1"], environment=probe, **states["core"])
    assert run.status == 1 and "some reason\n" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr and "refused" not in run.stdout


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_without_a_target_the_engine_says_so(debugger, probe):
    for command in ("tm-read 0 1", "tm-address $pc"):
        run = debuggers.run_debugger(debugger, [command], environment=probe)
        assert (run.status, run.stdout.count("refused")) == (1, 0) and "no process and no core" in run.stderr


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_an_expression_without_a_value_says_what_why_and_what_to_type(debugger, states, probe):
    run = debuggers.run_debugger(debugger, ["tm-address no_such + 1"], environment=probe, **states["core"])
    assert run.status == 1 and "Traceback" not in run.stderr
    message = 'cannot evaluate "no_such \\+ 1": .*no_such.*\nGive an address, such as 0x[0-9a-f]+, or an expression'
    assert re.search(message, run.stderr)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_running_process_is_not_read(debugger, plain, probe):
    with debuggers.start_process([plain]) as process:
        # Until the kernel has let it run.
        wait = "while 'tracing stop' in open('/proc/%d/status').read(): pass" % process.pid
        run_on = {
            "gdb": ["continue &", "python\n%s\nend" % wait],
            "lldb": ["script lldb.debugger.SetAsync(True)", "process continue", "script %s" % wait],
        }[debugger]
        run = debuggers.run_debugger(debugger, run_on + ["tm-read 0 1"], pid=process.pid, environment=probe)
    assert run.status == 1, run
    assert "the process %d is running, and only a stopped one can be read" % process.pid in run.stderr


@light(lambda state: state in ("gdb live", "lldb core"))
@pytest.mark.parametrize("state", STATES)
def test_ctrl_c_ends_a_command_and_nothing_else(state, states, probe):
    """In each of several tries the interrupt strikes somewhere else in the callback."""
    debugger, kind = state.split()
    for _ in range(4):
        read, write = os.pipe()
        os.set_inheritable(write, True)
        target = states[kind]
        catch = {
            "gdb": CATCH_IN_GDB % "'tm-wait'",
            "lldb": "script r = lldb.SBCommandReturnObject();"
            " lldb.debugger.GetCommandInterpreter().HandleCommand('tm-wait', r); print('CAUGHT', r.GetError())",
        }[debugger]
        command = debuggers.command_line(debugger, catch.split("\n") + ["tm-address 1 + 1"], **target)
        with command as words:
            run = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(os.environ, TM_READY=str(write), **probe),
                pass_fds=(write,),
            )
            os.close(write)
            with os.fdopen(read, "rb") as ready:
                assert ready.readline() == b"waiting\n", run.communicate()
            run.send_signal(signal.SIGINT)
            stdout, stderr = (text.decode() for text in run.communicate(timeout=debuggers.PATIENCE))
        assert re.search("^CAUGHT (error: )?interrupted", stdout, re.MULTILINE), stdout + stderr
        assert re.search("^2$", stdout, re.MULTILINE) and run.returncode == 0, stdout + stderr
        assert "Exception ignored" not in stderr and "Traceback" not in stderr


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_ctrl_c_in_a_script_ends_it_with_status_1(debugger, states, probe):
    read, write = os.pipe()
    with debuggers.command_line(debugger, ["tm-wait", "tm-address 40 + 2"], **states["core"]) as words:
        run = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TM_READY=str(write), **probe),
            pass_fds=(write,),
        )
        os.close(write)
        with os.fdopen(read, "rb") as ready:
            assert ready.readline() == b"waiting\n", run.communicate()
        run.send_signal(signal.SIGINT)
        stdout, stderr = (text.decode() for text in run.communicate(timeout=debuggers.PATIENCE))
    assert run.returncode == 1 and "interrupted" in stderr.lower()
    assert not re.search("^2a$", stdout, re.MULTILINE)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_ctrl_c_leaves_no_half_of_a_file(debugger, states, probe, tmp_path):
    """The probe has written to the file when it is stopped."""
    read, write = os.pipe()
    path = tmp_path / "half"
    with debuggers.command_line(debugger, ["tm-write %s" % path], **states["core"]) as words:
        run = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, TM_READY=str(write), **probe),
            pass_fds=(write,),
        )
        os.close(write)
        with os.fdopen(read, "rb") as ready:
            assert ready.readline() == b"waiting\n", run.communicate()
        assert path.read_bytes() == b"begun"
        run.send_signal(signal.SIGINT)
        stdout, stderr = (text.decode() for text in run.communicate(timeout=debuggers.PATIENCE))
    assert run.returncode == 1 and "interrupted" in stderr.lower()
    assert list(tmp_path.iterdir()) == []


# -- loading


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_an_engine_that_cannot_be_loaded_is_reported_without_a_traceback(debugger):
    missing = {"TRACEMORTEM_ENGINE": "/nowhere/libtracemortem.so"}
    run = debuggers.run_debugger(debugger, ["tm-read 0 1"], environment=missing)
    assert run.status == 1 and "Traceback" not in run.stdout + run.stderr
    assert "tracemortem: cannot load the engine: /nowhere/libtracemortem.so" in run.stderr
    assert "Run `make`" in run.stderr


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_front_end_without_its_package_says_so_without_a_traceback(debugger, tmp_path):
    """Its folder was copied out of the source tree, or nothing was built."""
    shutil.copytree(os.path.join(debuggers.ROOT, debugger), str(tmp_path / debugger))
    load = {"gdb": "source %s/gdb/tm_gdb.py", "lldb": "command script import %s/lldb/tm_lldb.py"}[debugger] % tmp_path
    run = debuggers.run_debugger(debugger, [load, "tm-read 0 1"], load=False)
    assert run.status == 1 and "Traceback" not in run.stdout + run.stderr
    assert "tracemortem: cannot import its Python package: No module named 'tracemortem'" in run.stderr


def test_gdb_completes_what_the_engine_knows_and_files_and_expressions(states, plain_core, probe):
    folder = os.path.dirname(plain_core)
    lines = ["tm-symbol al", "tm-symbol x alphab", "tm-symbol --al", "tm-symbol --alpha=o", "tm-symbol zz"]
    lines += ["tm-core %s/pl" % folder, "tm-address numb", "tm-source x"]
    commands = ["complete %s" % line for line in lines]
    answers = debuggers.answers("gdb", commands, environment=probe, **states["core"])
    assert answers[0].splitlines() == ["tm-symbol alpha", "tm-symbol alphabet"]
    assert answers[1] == "tm-symbol x alphabet\n"
    assert answers[2] == answers[3] == "tm-symbol --alpha=one\n"
    assert answers[4] == answers[7] == ""
    assert answers[5] == "tm-core %s/plain.core\n" % folder
    assert "tm-address numbers\n" in answers[6]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_loading_twice_prints_nothing_and_keeps_one_module(debugger, probe):
    load, path, name, python = {
        "gdb": ("source", debuggers.TM_GDB, "tm_gdb", "python"),
        "lldb": ("command script import", debuggers.TM_LLDB, "tm_lldb", "script"),
    }[debugger]
    look = "%s import sys, %s; print(sys.modules['%s'] is %s, %s.__file__)" % (python, name, name, name, name)
    answers = debuggers.answers(debugger, ["%s %s" % (load, path), look, "help tm-read"], environment=probe)
    assert answers[0] == "" and answers[1] == "True %s\n" % path
    assert answers[2] == "Probe.\n\nUsage: see probe_engine.c\n" or answers[2].startswith("Probe.")


def test_lldb_reads_a_local_process_past_its_server(plain_process, probe):
    look = "script print(tm_lldb_target._Process(lldb.debugger.GetSelectedTarget())._local is not None)"
    commands = ["script import tm_lldb_target", look]
    answers = debuggers.answers("lldb", commands, pid=plain_process.pid, environment=probe)
    assert answers[1] == "True\n"


def test_what_debuggers_import_needs_no_debugger_and_loads_no_tracer():
    code = "import sys, tracemortem.debugger.shell; print([n for n in sys.modules if '_tracer' in n])"
    run = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH)
    )
    assert (run.returncode, run.stdout) == (0, b"[]\n")


def test_a_traced_process_loads_nothing_that_only_debuggers_need():
    """Without `site`, which may import anything itself."""
    code = """
import sys
sys.path.insert(0, %r)
import tracemortem._startup
assert tracemortem.is_tracing()
unwanted = ("ctypes", "enum", "struct", "subprocess", "typing")
print(*sorted(n for n in sys.modules if "tracemortem" in n or n in unwanted))
"""
    environment = dict(os.environ, TRACEMORTEM="1")
    command = [sys.executable, "-I", "-S", "-c", code % debuggers.PACKAGE_PATH]
    run = subprocess.run(command, stdout=subprocess.PIPE, env=environment)
    assert (run.returncode, run.stdout) == (0, b"tracemortem tracemortem._startup tracemortem._tracer\n")
