"""The check of the engine's includes: it finds one that runs up, and the engine has none."""

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CHECK = os.path.join(HERE, "..", "support", "check_rooms.py")


def run(*arguments):
    return subprocess.run([sys.executable, CHECK, *arguments], capture_output=True, text=True)


def make_file(folder, path, *includes):
    path = folder / "engine" / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("// A comment.\n" + "".join(f'#include "engine/{include}"\n' for include in includes))


def test_the_engines_includes_run_down():
    result = run()
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "path, include",
    (
        ("base/text.h", "target/target.h"),
        ("table/table.c", "verify/verify.h"),
        ("stock/find.c", "snapshot/source.h"),
        ("snapshot/source.c", "stock/stock.h"),
        ("stock/stock.c", "open.h"),
        ("open.c", "commands/command.h"),
    ),
)
def test_an_include_which_runs_up_or_aside_is_found(path, include, tmp_path):
    make_file(tmp_path, path, "tracemortem.h", include)
    result = run(str(tmp_path))
    assert result.returncode == 1
    assert result.stdout.startswith(f"{tmp_path / 'engine' / path}:3: ") and include in result.stdout
    assert len(result.stdout.splitlines()) == 1


def test_includes_which_run_down_or_stay_in_the_room_are_good(tmp_path):
    make_file(tmp_path, "commands/cmd_top.c", "commands/report.h", "open.h", "base/text.h", "tracemortem.h")
    make_file(tmp_path, "stock/stock.c", "stock/find.h", "model/source.h")
    result = run(str(tmp_path))
    assert (result.returncode, result.stdout) == (0, "")


def test_a_room_without_a_place_in_the_order_is_found(tmp_path):
    make_file(tmp_path, "attic/box.c")
    make_file(tmp_path, "commands/cmd_top.c", "attic/box.h")
    result = run(str(tmp_path))
    assert result.returncode == 1
    assert [line.split(":")[1] for line in result.stdout.splitlines()] == ["1", "2"]
