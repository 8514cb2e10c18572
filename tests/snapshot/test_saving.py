"""Each CPython loads what tm-save writes, and finds what tm-top and tm-traces say of the process."""

import errno
import json
import os
import stat

import debuggers
import pytest
from selection import is_newest, is_oldest, light
from snapshot_support import PYTHONS, program, run_python
from tracemortem.debugger import output_file

TOPS = ["lineno", "filename", "traceback", "lineno -c", "filename -c"]
QUESTIONS = ["tm-top %s --json -n 1000000" % words for words in TOPS]
QUESTIONS += ["tm-traces --sort address --json -n 1000000"]
QUESTIONS += ["tm-traces --include '*known.py' --all-frames --json -n 0"]


def frames(row):
    return [[frame["filename"], frame["lineno"]] for frame in row["traceback"]]


@pytest.fixture(scope="module")
def saved(known, tmp_path_factory):
    """The answers to QUESTIONS, and for each form a file and the JSON that tm-save printed."""
    folder = tmp_path_factory.mktemp("saved")
    commands = QUESTIONS + ["tm-save --json %s" % (folder / "own")]
    commands += ["tm-save --json --traces %s %s" % (form, folder / form) for form in ("3.8", "3.9")]
    answers = [json.loads(text) for text in debuggers.answers("gdb", commands, pid=known.pid)]
    return answers[: len(QUESTIONS)], answers[len(QUESTIONS) :]


def form_of(python):
    return "3.8" if python.version < (3, 9) else "3.9"


@light(lambda any_python: is_newest(any_python) or is_oldest(any_python))
def test_the_form_is_the_targets_own(saved, any_python):
    own, old, new = saved[1]
    assert (own["traces"], old["traces"], new["traces"]) == (form_of(any_python), "3.8", "3.9")
    with open(own["file"], "rb") as file, open((old, new)[form_of(any_python) != "3.8"]["file"], "rb") as same:
        assert file.read() == same.read()
    for answer in saved[1]:
        assert answer["bytes"] == os.path.getsize(answer["file"])


@light(lambda any_python, who: (is_oldest if who == "the newest" else is_newest)(any_python))
@pytest.mark.parametrize("who", ["itself", "the oldest", "the newest"])
def test_every_python_loads_what_the_debugger_says(saved, any_python, who):
    loader = {"itself": any_python, "the oldest": PYTHONS[0], "the newest": PYTHONS[-1]}[who]
    if who != "itself" and loader == any_python:
        return  # that is itself
    tops, traces, kept = saved[0][:5], saved[0][5], saved[0][6]
    answer = saved[1][1 if form_of(loader) == "3.8" else 2]
    loaded = run_python(loader.path, program("load.py"), answer["file"])
    assert loaded["limit"] == answer["traceback_limit"] == 25
    assert len(loaded["traces"]) == answer["total_count"] == traces["total_count"] > 5000
    # In the order of the blocks' addresses.
    addresses = [row["address"] for row in traces["traces"]]
    assert addresses == sorted(addresses)
    assert loaded["traces"] == [[row["domain"], row["size"], frames(row)] for row in traces["traces"]]
    if form_of(loader) != "3.8":
        assert loaded["totals"] == [row["total_nframe"] for row in traces["traces"]]
    for top, statistics in zip(tops, loaded["statistics"]):
        assert [[frames(row), row["size"], row["count"]] for row in top["statistics"]] == statistics
    assert sum(size for _, size, _ in loaded["traces"]) == tops[0]["total_size"] == answer["total_size"]
    assert loaded["kept"] == kept["total_count"] > 500


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_process_and_core_give_the_same_file_from_both_debuggers(debugger, newest, newest_core, tmp_path):
    files = [tmp_path / "live", tmp_path / "core"]
    for file, target in zip(files, ({"pid": newest.pid}, {"core": newest_core, "program": newest.python})):
        (text,) = debuggers.answers(debugger, ["tm-save %s" % file], **target)
        assert text.startswith("%d traces of " % len(run_python(newest.python, program("load.py"), file)["traces"]))
        assert " saved in %s (" % file in text and text.count("\n") == 1
    assert files[0].read_bytes() == files[1].read_bytes()


def test_filters_apply(newest, tmp_path):
    commands = ["tm-filter add --exclude '<frozen *>'", "tm-save %s --include '*known.py'" % (tmp_path / "a")]
    commands += [
        "tm-top --include '*known.py' --json -n 1000",
        "tm-filter clear",
        "tm-save %s --domain 9" % (tmp_path / "b"),
    ]
    answers = debuggers.answers("gdb", commands, pid=newest.pid)
    assert "filters: 1 exclude <frozen *>; of this command: include *known.py\n" in answers[1]
    top = json.loads(answers[2])
    loaded = run_python(newest.python, program("load.py"), tmp_path / "a")
    assert [row[1:] for row in loaded["statistics"][0]] == [[row["size"], row["count"]] for row in top["statistics"]]
    assert answers[4].startswith("0 traces of 0.0 KiB saved in ")
    assert run_python(newest.python, program("load.py"), tmp_path / "b")["traces"] == []


# -- the file


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_file_is_replaced_only_by_force(debugger, newest, tmp_path):
    path = tmp_path / "there"
    path.write_text("mine")
    path.chmod(0o600)
    run = debuggers.run_debugger(debugger, ["tm-save %s" % path], pid=newest.pid)
    assert run.status == 1 and "%s exists already\nGive another name, or --force" % path in run.stderr
    assert path.read_text() == "mine"
    debuggers.answers(debugger, ["tm-save %s --force" % path], pid=newest.pid)
    assert path.read_bytes()[:2] == b"\x80\x04" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_where_nothing_can_be_written(debugger, newest, plain_program, tmp_path):
    cases = {
        str(tmp_path / "no" / "folder"): "No such file or directory",
        str(tmp_path): "exists already",
        "--force %s" % tmp_path: "is not a regular file, so it is not replaced",
        "--force /dev/full": "is not a regular file, so it is not replaced",
    }
    for words, reason in cases.items():
        run = debuggers.run_debugger(debugger, ["tm-save %s" % words], pid=newest.pid)
        assert run.status == 1 and reason in run.stderr and "Traceback" not in run.stderr, run.stderr
    # An untraced process: existing files stay as they are, and no file is created.
    (tmp_path / "old").write_text("mine")
    for words in (str(tmp_path / "new"), "--force %s" % (tmp_path / "old")):
        run = debuggers.run_debugger(debugger, ["tm-save %s" % words], pid=plain_program.pid)
        assert run.status == 1 and "records nothing" in run.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "old"] and (tmp_path / "old").read_text() == "mine"


@pytest.fixture(scope="module")
def plain_program(python, tmp_path_factory):
    """An untraced process."""
    script = tmp_path_factory.mktemp("plain") / "plain.py"
    script.write_text("import os, sys\nos.write(int(os.environ['TM_READY']), b'\\n')\nsys.stdin.read()\n")
    with debuggers.start_process([python.path, script]) as process:
        yield process


class TestOutputFile:
    """The front ends' class for output files, without a debugger."""

    @pytest.mark.parametrize("replace", [False, True])
    @pytest.mark.parametrize("there", [False, True])
    def test_whole_or_not_at_all(self, replace, there, tmp_path):
        path = tmp_path / "file"
        for fails in (True, False):
            if there:
                path.write_bytes(b"old")
            if there and not replace:
                with pytest.raises(output_file.OutputError, match="exists already"):
                    output_file.OutputFile(str(path), replace).__enter__()
                assert path.read_bytes() == b"old"
                continue
            with pytest.raises(KeyboardInterrupt) if fails else open(os.devnull):
                with output_file.OutputFile(str(path), replace) as output:
                    output.write(b"ne")
                    output.write(b"w")
                    assert not there or path.read_bytes() == b"old"
                    if fails:
                        raise KeyboardInterrupt
                    output.commit()
            expected = b"new" if not fails else b"old" if there else None
            assert (path.read_bytes() if path.exists() else None) == expected
            assert len(list(tmp_path.iterdir())) == (expected is not None)

    def test_a_full_disk(self, tmp_path, monkeypatch):
        def write(file, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(output_file.os, "write", write)
        with pytest.raises(output_file.OutputError, match="cannot write .*file: No space left on device"):
            with output_file.OutputFile(str(tmp_path / "file"), False) as output:
                output.write(b"x")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("linked", [False, True])
    def test_a_core_is_never_replaced(self, linked, tmp_path):
        (tmp_path / "core").write_bytes(b"\x7fELF and more")
        (tmp_path / "link").symlink_to(tmp_path / "core")
        with pytest.raises(output_file.OutputError, match="core is a core or a program, so it is not replaced"):
            output_file.OutputFile(str(tmp_path / ("link" if linked else "core")), True).__enter__()
        assert (tmp_path / "core").read_bytes() == b"\x7fELF and more" and len(list(tmp_path.iterdir())) == 2

    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "file")
        for replace in (False, True):
            with output_file.OutputFile(str(tmp_path / "link"), replace) as output:
                output.write(b"%d" % replace)
                output.commit()
            assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"%d" % replace
