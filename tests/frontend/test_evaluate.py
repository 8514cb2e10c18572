"""Expressions in real debuggers. gdb and lldb find the same value in a live process and in its core. They refuse calls
and assignments, and they write nothing to a live process.

The program is plain.c, stopped in its function `stop`.
"""

import json
import os

import debuggers
import pytest

EVALUATE = """
import json, os, sys
sys.path[:0] = [{support!r}, {front_end!r}]
import pages
try:
    import gdb, tm_gdb_target
    kind, target = "gdb", tm_gdb_target.Gdb()
    pid = gdb.selected_inferior().pid
    gdb.execute("frame function stop", to_string=True)
except ImportError:
    import lldb, tm_lldb_target
    kind, selected = "lldb", lldb.debugger.GetSelectedTarget()
    pid = selected.GetProcess().GetProcessID()
    frame = [f for f in selected.GetProcess().GetSelectedThread() if f.GetFunctionName() == "stop"][0]
    target = tm_lldb_target.Lldb(lldb.debugger, lldb.SBExecutionContext(frame))
from tracemortem.debugger import expression
live = {live!r}
class Shell:
    def opened_core(self, opened):
        from tracemortem.debugger.opened_core import OpenedCores
        return OpenedCores().get(opened)
found = []
with target.current(Shell()):
    for text in {expressions!r}:
        before = pages.snapshot(pid) if live else None
        try:
            expression.refuse_side_effects(text)
            value = hex(target.evaluate(text) % (1 << 64))
        except expression.ExpressionError as error:
            value = "refused: " + str(error)
        changed = pages.differences(before, pages.snapshot(pid)) if live else []
        found.append((value, changed))
with open({result!r}, "w") as file:
    json.dump(found, file)
"""


def evaluate(debugger, expressions, folder, **options):
    """[(value or "refused: …", what changed in the process)] for each expression."""
    script, result = folder / "evaluate.py", folder / "result.json"
    script.write_text(
        EVALUATE.format(
            support=os.path.join(debuggers.ROOT, "tests", "support"),
            front_end=os.path.join(debuggers.ROOT, debugger),
            live="pid" in options,
            expressions=list(expressions),
            result=str(result),
        )
    )
    command = {"gdb": "source %s", "lldb": "command script import %s"}[debugger] % script
    run = debuggers.run_debugger(debugger, [command], **options)
    assert result.exists(), run.stdout + run.stderr
    return [tuple(pair) for pair in json.loads(result.read_text())]


@pytest.fixture(params=["gdb live", "gdb core", "lldb live", "lldb core"])
def look(request, plain, plain_process, plain_core, tmp_path):
    """evaluate() for one debugger on the live process or on its core."""
    debugger, state = request.param.split()
    options = {"pid": plain_process.pid} if state == "live" else {"program": plain, "core": plain_core}
    return lambda expressions: evaluate(debugger, expressions, tmp_path, **options)


VALUES = {
    "1 + 1": 2,
    "chain->number": 42,
    "chain->next->number": (1 << 64) - 7,
    "first.values[3]": (1 << 64) - 4,
    "first.letters[0]": 42,
    "first.color": 3,
    "last.color + 1": 6,
    "numbers[1]": 0x2222222222222222,
    "numbers[2] + 2": 1,
    "*(unsigned char *)&negative": 0xFB,
    "byte": 200,
    "negative": (1 << 64) - 5,
    "(unsigned char)negative": 0xFB,
    "*(int *)nothing": (1 << 64) - 5,
    "given->number": 42,
    "length": 77,
    "local.number": 42,
    "(unsigned long)local.next - (unsigned long)&last": 0,
    "&first - chain": 0,
    "&chain->values[2] - chain->values": 2,
    "((struct node *)nothing) - ((struct node *)&negative)": 0,
    "calls": 0,
    "$pc - $rip": 0,
}

SAME = [  # pairs that mean the same address
    ("&first", "chain"),
    ("first", "chain"),
    ("*chain", "chain"),
    ("numbers", "&numbers[0]"),
    ("first.values", "&chain->values"),
    ("&given->number", "&first.number"),
    ("poke", "&poke"),
    ("local.next", "&last"),
    ("(char *)chain + 8", "&chain->number"),
    ("nothing", "&negative"),
    ("$sp", "$rsp"),
]


def test_values_are_what_c_says(look):
    found = look(VALUES)
    assert dict(zip(VALUES, (value for value, _ in found))) == {text: hex(value) for text, value in VALUES.items()}
    assert [changed for _, changed in found if changed] == []


def test_objects_mean_their_addresses(look):
    found = [value for value, _ in look([text for pair in SAME for text in pair])]
    assert all(int(value, 16) > 0x1000 for value in found), found
    assert [(a, b) for a, b in zip(found[::2], found[1::2]) if a != b] == []


CALLS = ["poke()", "(long)poke()", "1 + poke()", "(int)getpid()", "chain->number + poke()"]
ASSIGNMENTS = ["negative = 6", "$rax = 5", "*(int *)nothing = 6", "first.number++", "chain->values[0] += 2"]
NONSENSE = ["no_such_name", "(no_such_type *)5", "first.no_such_member", "*(long *)8", "1 +", "((1", ""]


def test_a_function_is_never_called(look):
    *found, (calls, _) = look(CALLS + ["calls"])
    for text, (value, changed) in zip(CALLS, found):
        assert value.startswith("refused: ") and "call" in value and changed == [], (text, value, changed)
    assert calls == "0x0"


def test_nothing_is_ever_assigned(look):
    *found, (negative, _), (number, _) = look(ASSIGNMENTS + ["negative", "first.number"])
    for text, (value, changed) in zip(ASSIGNMENTS, found):
        assert value.startswith("refused: ") and "assign" in value and changed == [], (text, value, changed)
    assert (negative, number) == (hex((1 << 64) - 5), "0x2a")


def test_an_expression_without_a_value_is_refused_with_a_reason(look):
    for text, (value, changed) in zip(NONSENSE, look(NONSENSE)):
        assert value.startswith("refused: ") and len(value) > 15 and changed == [], (text, value, changed)
        assert "\n" not in value and "Traceback" not in value, (text, value)


def test_lldbs_own_evaluator_is_used_on_a_core_but_never_on_a_process(plain, plain_process, plain_core, tmp_path):
    ((live, changed),) = evaluate("lldb", ["first.number == 42"], tmp_path, pid=plain_process.pid)
    assert live.startswith("refused: ") and "lldb's own evaluator would write to it" in live and changed == []
    ((core, _),) = evaluate("lldb", ["first.number == 42"], tmp_path, program=plain, core=plain_core)
    assert core == "0x1"
