"""The real engine's commands in real debuggers: they are listed, have help and are completed. Bad input gets a message
that says what, why and what to type next, the same in both debuggers, and an exit status that scripts can see.

Other tests check the answers to good input.
"""

import json
import os
import re
import struct

import asking
import debuggers
import pytest
from selection import light
from tracemortem.debugger import engine

ENGINE = engine.Engine()
COMMANDS = ENGINE.commands()
NEED_TARGET = [
    "tm-info",
    "tm-top",
    "tm-traceback 0x1234",
    "tm-traceback $pc",
    "tm-traces",
    "tm-memory",
    "tm-diff {core}",
    "tm-save x",
    "tm-export csv x",
]


def failure(debugger, command, **options):
    """The message of a command that must fail with status 1, without the text that the debugger adds."""
    after = {"gdb": "echo went on\\n", "lldb": "script print('went on')"}[debugger]
    run = debuggers.run_debugger(debugger, [command, after], **options)
    assert run.status == 1 and "Traceback" not in run.stdout + run.stderr, run
    assert not re.search("^went on$", run.stdout, re.MULTILINE)
    if debugger == "gdb":
        match = re.search(r"script\.gdb:\d+: Error in sourced command file:\n(.*)", run.stderr, re.DOTALL)
    else:
        match = re.search(r"^error: (.*)", run.stderr, re.DOTALL | re.MULTILINE)
    assert match, run
    return match.group(1)


def same_failure(command, **options):
    """The message of a command that fails in the same way in both debuggers."""
    by_gdb, by_lldb = (failure(debugger, command, **options) for debugger in debuggers.DEBUGGERS)
    assert by_gdb.strip() == by_lldb.strip()
    return by_gdb


def messages(debugger, commands, **options):
    """The message of each of these commands, which must all fail, from one debugger. It does not end at the first one, as
    a script does: see failure()."""
    attempt = {
        "gdb": "python\ntry: gdb.execute(%r)\nexcept gdb.error as error: print('failed:', error)\nend",
        "lldb": "script r = lldb.SBCommandReturnObject(); "
        "_ = lldb.debugger.GetCommandInterpreter().HandleCommand(%r, r); "
        "print('' if r.Succeeded() else 'failed:', r.GetError())",
    }[debugger]
    texts = debuggers.answers(debugger, [attempt % command for command in commands], **options)
    assert all(text.startswith("failed:") for text in texts), texts
    return [re.sub("^failed: (error: )?", "", text).strip() for text in texts]


def same_messages(commands, **options):
    """The messages of commands which fail in both debuggers alike."""
    by_gdb, by_lldb = (messages(debugger, commands, **options) for debugger in debuggers.DEBUGGERS)
    assert by_gdb == by_lldb
    return by_gdb


# -- help and completion


def test_the_contracts_commands_are_there():
    assert {
        "tm-info",
        "tm-top",
        "tm-traceback",
        "tm-traces",
        "tm-diff",
        "tm-save",
        "tm-export",
        "tm-filter",
        "tm-set",
        "tm-verify",
    } <= set(COMMANDS)


@pytest.fixture(scope="module")
def helps():
    """What both debuggers show for "help COMMAND", and gdb for the class of these commands."""
    asked = ["help %s" % command for command in COMMANDS]
    gdb, lldb = debuggers.answers("gdb", asked + ["help data"]), debuggers.answers("lldb", asked)
    return dict(zip(COMMANDS, gdb)), dict(zip(COMMANDS, lldb)), gdb[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_engines_in_both_debuggers(command, helps):
    gdb, lldb, data = helps
    text = ENGINE.help(command).strip()
    summary, blank, usage = text.split("\n")[:3]
    assert summary and blank == "" and usage.startswith("Usage: %s" % command)
    assert gdb[command].strip() == text
    shown = lldb[command]
    assert " ".join(usage.split()) in " ".join(shown.split())
    assert shown.count(summary.split()[0] + " ") and " ".join(shown.split()).endswith(" ".join(text.split()[-20:]))
    assert summary.rstrip(".") in data
    assert max(len(line) for text in (gdb[command], shown) for line in text.splitlines()) <= 80


def test_every_command_is_listed_once_and_no_other():
    wanted = sorted([*COMMANDS, "tm-start", "tm-stop"])
    gdb = debuggers.answers("gdb", ["complete tm-"])[0].splitlines()
    assert sorted(gdb) == wanted
    lldb = debuggers.answers("lldb", ["help"])[0]
    assert sorted(re.findall(r"^  (tm-\w+)", lldb, re.MULTILINE)) == wanted


def test_the_topic_shows_the_commands_by_task_in_80_columns():
    topic = ENGINE.help("tracemortem")
    for debugger in debuggers.DEBUGGERS:
        asked, shown = debuggers.answers(debugger, ["help tracemortem", "tracemortem"])
        assert shown == topic
        for line in topic.strip().splitlines():
            assert line.strip() in asked
        assert max(map(len, asked.splitlines())) <= 80


def test_apropos_finds_the_commands():
    for debugger, question in {"gdb": "apropos memory leak", "lldb": 'apropos "memory leak"'}.items():
        (found,) = debuggers.answers(debugger, [question])
        assert {"tm-diff", "tracemortem"} <= set(re.findall(r"tm-\w+|tracemortem", found))


def test_gdb_completes_keys_options_and_files(tmp_path):
    (tmp_path / "one.core").write_text("")
    asked = ["tm-top l", "tm-top file", "tm-top --cum", "tm-diff %s/o" % tmp_path, "tm-filter a"]
    asked += ["tm-save %s/o" % tmp_path, "tm-traces --so", "tm-traces --sort si", "tm-top lineno --sort=al"]
    found = [answer.splitlines() for answer in debuggers.answers("gdb", ["complete %s" % line for line in asked])]
    assert found[0] == ["tm-top lineno"] and found[1] == ["tm-top filename"] and found[2] == ["tm-top --cumulative"]
    assert found[3] == ["tm-diff %s/one.core" % tmp_path] and found[4] == ["tm-filter add"]
    assert found[5] == ["tm-save %s/one.core" % tmp_path] and found[6] == ["tm-traces --sort"]
    assert found[7] == ["tm-traces --sort site", "tm-traces --sort size"]
    assert found[8] == ["tm-top lineno --sort=allocated"]


def test_gdb_completes_the_domains_of_the_core(core, python, plain_core):
    asked = ["complete tm-top --domain ", "complete tm-traces --domain=3"]
    of_target = debuggers.answers("gdb", asked, core=core, program=python)
    assert of_target == ["tm-top --domain 0\n", ""]
    for target in ({}, {"core": plain_core}):  # without one, and with one that has no table
        of_any = debuggers.answers("gdb", asked, **target)
        assert of_any == ["tm-top --domain 0\ntm-top --domain 389047\n", "tm-traces --domain=389047\n"]


# -- bad input


def require_no_target(message):
    assert re.search("no process|no core", message) and len(message.strip().splitlines()) >= 2, message


@light(lambda command: command == NEED_TARGET[0])
@pytest.mark.parametrize("command", NEED_TARGET)
def test_no_process_and_no_core(command, plain_core):
    require_no_target(same_failure(command.format(core=plain_core)))


def test_no_process_and_no_core_for_any_command(plain_core):
    for message in same_messages([command.format(core=plain_core) for command in NEED_TARGET]):
        require_no_target(message)


USAGE_ERRORS = [
    "tm-top --no-such-option",
    "tm-top nosuchkey",
    "tm-top -n",
    "tm-top -n many",
    "tm-diff",
    "tm-traceback",
    "tm-filter befriend x",
    "tm-traces --sort beauty",
    "tm-save",
    "tm-export",
    "tm-export pprof",
]
if not debuggers.lldb_asks_commands():  # else it closes the quote at the end of the line
    USAGE_ERRORS.append("tm-top 'open")


@light(lambda line: line == USAGE_ERRORS[0])
@pytest.mark.parametrize("line", USAGE_ERRORS)
def test_usage_errors_say_what_there_is(line):
    message = same_failure(line)
    assert line.split()[0] in message, message


def test_any_usage_error_says_what_there_is():
    for line, message in zip(USAGE_ERRORS, same_messages(USAGE_ERRORS)):
        assert line.split()[0] in message, message


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_filters_need_no_target_and_stay_for_the_session(debugger):
    answers = debuggers.answers(debugger, ["tm-filter add --exclude '*/site-packages/*'", "tm-filter list"])
    assert "*/site-packages/*" in answers[1]


def test_a_program_that_is_not_python(plain_process, plain, plain_core):
    live = same_failure("tm-top", pid=plain_process.pid)
    assert live.strip() == same_failure("tm-top", program=plain, core=plain_core).strip()
    assert "no trace table" in live and len(live.strip().splitlines()) >= 2


def test_a_python_without_the_tracer(python, tmp_path):
    script = tmp_path / "untraced.py"
    script.write_text("import os, sys\nos.write(int(os.environ['TM_READY']), b'\\n')\nsys.stdin.read()\n")
    with debuggers.start_process([python, script]) as process:
        assert "records nothing: tracemalloc was never started" in same_failure("tm-top", pid=process.pid)


def header(machine=62, kind=4, word_size=2, byte_order=1):
    segment = struct.pack("<IIQQQQQQ", 1, 6, 4096, 0x10000, 0, 4096, 4096, 4096)
    start = struct.pack("<4s5B7x", b"\x7fELF", word_size, byte_order, 1, 0, 0)
    head = start + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return (head + segment).ljust(8192, b"\0")


FOREIGN = 183 if os.uname().machine == "x86_64" else 62

BAD_CORES = {
    "missing": (None, "cannot open {}: No such file or directory\nGive a core, or a snapshot file of tm-save"),
    "empty": (b"", "{} is empty, so not a core file"),
    "text": (b"no core at all\n", "{} is not a core file: it does not begin as an ELF file does\n"),
    "program": (header(kind=3), "{} is a program or a shared library, not a core file\n"),
    "foreign": (header(machine=FOREIGN), "the core file {} is of another architecture: "),
    "32-bit": (header(word_size=1), "the core file {} is of another architecture: 32-bit"),
    "big-endian": (header(byte_order=2), "the core file {} is of another architecture: big-endian"),
    "cut": (header()[:100], "{} is not a usable core file: it has no program headers, or ends before them"),
}


@light(lambda name: name == "text")
@pytest.mark.parametrize("name", sorted(BAD_CORES))
def test_a_bad_core_is_refused_and_the_debugger_goes_on(name, tmp_path, plain, plain_core):
    """The other core is good. The message names the bad one, whether it is OLD or NEW."""
    data, words = BAD_CORES[name]
    bad = tmp_path / "bad.core"
    if data is not None:
        bad.write_bytes(data)
    for line in ("%s %s" % (plain_core, bad), str(bad)):
        message = same_failure("tm-diff %s" % line, program=plain, core=plain_core)
        assert message.startswith(words.format(bad)), message


def test_any_file_that_is_no_core_is_refused(tmp_path, plain, plain_core):
    lines, wanted = [], []
    for name, (data, words) in BAD_CORES.items():
        bad = tmp_path / ("%s.core" % name)
        if data is not None:
            bad.write_bytes(data)
        lines += ["tm-diff %s %s" % (plain_core, bad), "tm-diff %s" % bad]
        wanted += [words.format(bad)] * 2
    for message, words in zip(same_messages(lines, program=plain, core=plain_core), wanted):
        assert (message + "\n").startswith(words), message


def test_a_core_of_nothing_traced_is_named(plain, plain_core, core, python):
    message = same_failure("tm-diff %s" % plain_core, program=python, core=core)
    assert "no trace table" in message


def test_an_address_that_is_not_traced(service, core, python):
    live = same_failure("tm-traceback 0x1010", pid=service.pid)
    assert "no traced block contains 0x1010;" in live and "tracing began" in live
    assert live.strip() == same_failure("tm-traceback 0x1010", program=python, core=core).strip()


def test_a_null_pointer_is_called_one(service):
    null, past = same_messages(["tm-traceback 0", "tm-traceback (char *)0 + 24"], pid=service.pid)
    assert "the address is 0: this is NULL" in null
    assert "0x18 is 24 bytes past NULL" in past


def test_each_command_shows_its_help_on_request():
    """Without a target, and the same bytes in both debuggers."""
    for option in ("--help", "-h"):
        commands = ["%s %s" % (name, option) for name in ENGINE.commands()]
        wanted = [ENGINE.help(name) for name in ENGINE.commands()]
        for debugger in debuggers.DEBUGGERS:
            assert debuggers.answers(debugger, commands) == wanted


def test_the_same_answer_four_times(service, core, python):
    """One stopped state, two debuggers, live and core: the same bytes."""
    commands = [
        "tm-info",
        "tm-info --json",
        "tm-top",
        "tm-top -n 3 --json filename",
        "tm-traceback %#x" % service.block,
        "tm-traceback %d + 40" % service.block,
        "tm-diff %s" % core,
        "tm-diff %s --json" % core,
        "tm-diff %s %s -c filename" % (core, core),
        "tm-traces -n 50",
        "tm-traces -s site --json",
        "tm-verify",
        "tm-verify --json --strict",
    ]
    found = [
        debuggers.answers(debugger, commands, **target)
        for target in ({"pid": service.pid}, {"program": python, "core": core})
        for debugger in debuggers.DEBUGGERS
    ]
    assert found[0][2].count("\n") >= 10 and "%s:2" % service.script in found[0][2]
    for number, command in enumerate(commands):
        assert len({answers[number] for answers in found}) == 1, (command, [answers[number] for answers in found])


def test_output_puts_the_answer_of_any_command_into_a_file(service, core, python, tmp_path):
    commands = ["tm-info --json", "tm-top", "tm-traceback --json %#x" % service.block, "tm-traces -n 5", "tm-verify"]
    commands += ["tm-diff %s" % core, "tm-filter list --json"]
    for debugger in debuggers.DEBUGGERS:
        name = [tmp_path / ("%s.%d" % (debugger, number)) for number in range(len(commands))]
        asked = [command.replace(" ", " --output %s " % file, 1) for command, file in zip(commands, name)]
        asked[1], asked[4] = "tm-top --output %s" % name[1], "tm-verify --output=%s" % name[4]
        said = debuggers.answers(debugger, commands + asked, core=core, program=python, private=True)
        assert said[len(commands) :] == [""] * len(commands)
        assert [file.read_text() for file in name] == said[: len(commands)]


def test_output_replaces_text_but_no_core_and_no_snapshot(core, tmp_path):
    old, snapshot = tmp_path / "old", tmp_path / "now.snapshot"
    old.write_text("an old answer")
    asked = ["tm-save %s --output %s" % (snapshot, old), "tm-top --output %s" % old, "tm-top --output %s" % core]
    asked += ["tm-top --output %s" % snapshot, "tm-save x --output ./x", "tm-diff nothing --output %s" % old]
    for debugger in debuggers.DEBUGGERS:
        (said,) = asking.ask(debugger, [(core, asked)])
        assert [answer.error == "" for answer in said] == [True, True, False, False, False, False], said
        assert "is a core or a program, so it is not replaced" in said[2].error
        assert "is a snapshot, so it is not replaced" in said[3].error
        assert "cannot hold both" in said[4].error and not os.path.exists("x")
        assert "Total allocated size" in old.read_text()
        snapshot.unlink()


def test_output_gets_bad_news_too(tmp_path, core):
    """tm-verify of a damaged table fails, and what it found is in the file."""
    with open(core, "rb") as file:
        image = bytearray(file.read())
    name = b"service.py"
    for place in [match.start() for match in re.finditer(re.escape(name), image)]:
        image[place] ^= 1
    damaged, answer = tmp_path / "damaged.core", tmp_path / "answer.json"
    damaged.write_bytes(image)
    for debugger in debuggers.DEBUGGERS:
        (said,) = asking.ask(debugger, [(damaged, ["tm-verify --json --output %s" % answer])])
        assert said[0].error and json.loads(answer.read_text())["verdict"] == "damaged"


def test_gdb_completes_the_names_of_files_for_output(tmp_path):
    (tmp_path / "one.json").write_text("")
    asked = ["tm-top --output %s/o" % tmp_path, "tm-diff --json %s/o" % tmp_path, "tm-top lineno --output=x file"]
    found = [answer.splitlines() for answer in debuggers.answers("gdb", ["complete %s" % line for line in asked])]
    assert found == [["tm-top --output %s/one.json" % tmp_path], ["tm-diff --json %s/one.json" % tmp_path], []]


def test_settings_last_for_the_session(service, core, python):
    commands = [
        "tm-set limit 1",
        "tm-set source off",
        "tm-top --include '*/service.py'",
        "tm-set frames 1",
        "tm-traceback %#x" % service.block,
    ]
    commands += ["tm-set", "tm-set --json limit default", "tm-set plain maybe"]
    found = []
    for debugger in debuggers.DEBUGGERS:
        (said,) = asking.ask(debugger, [((core, python), commands)])
        assert [bool(answer.error) for answer in said] == [False] * 7 + [True]
        found.append([answer.output for answer in said])
        assert re.match(r"%s:2: .*\n\d+ other" % re.escape(service.script), said[2].output)
        assert said[5].output == "limit:   1\nframes:  1\nplain:   off\nsource:  off\nfolder:  default\n"
    assert found[0] == found[1]


def test_gdb_has_settings_and_functions_of_its_own(service, core, python):
    asked = [
        "set tm limit 3",
        "show tm limit",
        "tm-set",
        "tm-set frames 2",
        "show tm frames",
        "set tm frames unlimited",
    ]
    asked += ["set tm source off", "show tm", "with tm limit 7 -- tm-set limit", "tm-set limit"]
    asked += ["print $_tm_size(%d)" % service.block, "print $_tm_where(%d)" % service.block]
    asked += [
        "print $_tm_size(16)",
        "print $_tm_where(16)",
        "set tm limit 2000000000",
        "set tm color 5",
        "help set tm limit",
        "set tm folder /srv/my app",
        "show tm folder",
        "tm-set folder",
        "set tm folder",
        "show tm folder",
        "set tm folder srv",
    ]
    (said,) = asking.ask("gdb", [((core, python), asked)])
    assert [bool(answer.error) for answer in said] == [False] * 14 + [True, True] + [False] * 6 + [True], said
    text = [answer.output for answer in said]
    assert text[0] == text[5] == text[6] == ""
    assert text[1] == "How many rows the tm- commands show: 3.\n" and text[2].startswith("limit:   3\n")
    assert text[4] == "How many frames tm-traceback shows: 2.\n"
    assert "How many frames tm-traceback shows: all.\n" in text[7] and "source lines: off.\n" in text[7]
    assert text[8:10] == ["limit:   7\n", "limit:   3\n"]
    assert re.match(r"\$1 = 10\d\d\n", text[10]) and text[11] == '$2 = "%s:2"\n' % service.script
    assert text[12:14] == ["$3 = 0\n", '$4 = "<not traced>"\n']
    assert max(map(len, text[16].splitlines())) <= 80
    place = "Where relative names of source files begin: %s.\n"
    assert text[17:22] == ["", place % "/srv/my app", "folder:  /srv/my app\n", "", place % "default"]
