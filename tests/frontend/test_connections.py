"""In gdb 10, which has no Inferior.connection, the list that it prints of its inferiors says what an inferior is.

Strategy: gdb 11 and later print the list too. It must say what their connections say, of a process, a core and nothing.
"""

import pytest
from debuggers import run_gdb

CODE = (
    "python import tm_gdb_target as t; print('nothing', t._listed_connections(), gdb.selected_inferior().connection)",
    "starti",
    "python print('live', t._listed_connections('1')[0].num == gdb.selected_inferior().connection.num,"
    " t._listed_connections()[0].type, gdb.selected_inferior().connection.type)",
    "gcore %s",
    "kill",
    "core-file %s",
    "python print('core', {c.num for c in t._listed_connections()} == {c.num for c in gdb.connections()},"
    " t._listed_connections()[0].type, gdb.selected_inferior().connection.type)",
)


def test_the_list_of_inferiors_says_what_the_connections_say(tmp_path):
    commands = [line.replace("%s", str(tmp_path / "a core (core)")) for line in CODE]
    text = run_gdb(["python print('API', hasattr(gdb, 'connections'))"]).stdout
    if "API False" in text:
        pytest.skip("this gdb has nothing to compare with")
    run = run_gdb(commands, program="/usr/bin/python3")
    for line in ("nothing [] None", "live True native native", "core True core core"):
        assert line in run.stdout.splitlines(), run.stdout + run.stderr
