"""expression over a made-up memory: what is supported means what it means in C, and all else is refused with a reason.

test_evaluate.py checks lldb's names and types, and that gdb finds the same values.
"""

import pytest
from tracemortem.debugger import expression
from tracemortem.debugger.expression import ExpressionError, Type, Unsupported, Value, evaluate, refuse_side_effects

INT = expression.integer("int", 4, True)
SHORT = expression.integer("short", 2, True)


class Scope(expression.Scope):
    """A list of two nodes at 0x1000 and 0x2000: struct node { struct node *next; int number; short values[3]; }."""

    def __init__(self):
        self.memory = bytearray(0x3000)
        self.memory[0x1000:0x1014] = bytes.fromhex("0020000000000000" "f9ffffff" "010002000300" "0000")
        self.memory[0x2000:0x2014] = bytes.fromhex("0000000000000000" "2a000000" "0a000b000c00" "0000")
        self.node = Type("record", "node", 24, member=self.member)
        self.variables = {
            "first": Value(self.node, address=0x1000),
            "chain": Value(expression.pointer(self.node), 0x1000),
            "number": Value(INT, 5),
            "function": Value(Type("function", "function"), address=0x2800),
            "symbol": Value(expression.UNKNOWN, address=0x1008),
        }

    def member(self, name):
        values = Type("array", "short[3]", 6, target=lambda: SHORT)
        return {"next": (0, expression.pointer(self.node)), "number": (8, INT), "values": (12, values)}.get(name)

    def register(self, name):
        return {"sp": 0x2000, "top": (1 << 64) - 16}.get(name)

    def variable(self, name):
        return self.variables.get(name)

    def type(self, name):
        return self.node if name in ("node", "struct node") else None

    def read(self, address, length):
        data = bytes(self.memory[address : address + length])
        return data if len(data) == length else None


@pytest.mark.parametrize(
    "text, value",
    [
        ("0x10", 16),
        ("017", 15),
        ("10ul", 10),
        ("0", 0),
        ("0xffffffffffffffff", (1 << 64) - 1),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("-7 / 2", (1 << 64) - 3),
        ("-7 % 2", (1 << 64) - 1),
        ("1 << 4 | 3", 19),
        ("0xff & ~0xf", 0xF0),
        ("6 ^ 3", 5),
        ("1 << 2 + 1", 8),
        ("-1", (1 << 64) - 1),
        ("- - 1", 1),
        ("+5", 5),
        ("$sp", 0x2000),
        ("$top + 32", 16),
        ("number", 5),
        ("(number)", 5),
        ("(number) + 1", 6),
        ("(number)-1", 4),
        ("first", 0x1000),
        ("&first", 0x1000),
        ("chain", 0x1000),
        ("*chain", 0x1000),
        ("&*chain", 0x1000),
        ("chain->number", (1 << 64) - 7),
        ("first.next->number", 42),
        ("first.next", 0x2000),
        ("&first.next", 0x1000),
        ("first.values", 0x100C),
        ("first.values[2]", 3),
        ("*first.values", 1),
        ("&first.values[1]", 0x100E),
        ("first.values + 1", 0x100E),
        ("&first.values[2] - first.values", 2),
        ("chain[0].next[0].values[1]", 11),
        ("chain + 1", 0x1018),
        ("1 + chain", 0x1018),
        ("chain - 1", 0xFE8),
        ("&chain->next->values[0]", 0x200C),
        ("*(unsigned long *)$sp", 0),
        ("*(int *)(0x1000 + 8)", (1 << 64) - 7),
        ("(char)200", (1 << 64) - 56),
        ("(unsigned char)456", 200),
        ("(unsigned int)-1", 0xFFFFFFFF),
        ("((node *)0x2000)->number", 42),
        ("((struct node *)$sp)->values[0]", 10),
        ("(void *)0x20 + 1", 0x21),
        ("*(char **)0x1000", 0x2000),
        ("function", 0x2800),
        ("&function", 0x2800),
        ("*function", 0x2800),
        ("&symbol", 0x1008),
        ("(int)symbol", (1 << 64) - 7),
        ("(uint8_t)0x1ff", 0xFF),
        ("(const unsigned char *)$sp + 3", 0x2003),
        ("(unsigned)-1 >> 4", 0xFFFFFFF),
    ],
)
def test_means_what_c_means(text, value):
    assert evaluate(text, Scope()) == value


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "ends too early"),
        ("1 +", "ends too early"),
        ("(1", '")" is missing'),
        ("1 2", 'unexpected "2"'),
        ("0x", "not a whole number"),
        ("1.5", "not a whole number"),
        ("09", "not a whole number"),
        ("1 << 64", "shifts by 64"),
        ("1 << -1", "shifts by -1"),
        ("1 / 0", "divides by zero"),
        ("1 % (2 - 2)", "divides by zero"),
        ("0x10000000000000000", "does not fit"),
        ("nobody", 'no "nobody" here'),
        ("$nowhere", "no register $nowhere"),
        ("*5", "only a pointer"),
        ("*(void *)8", "void pointer"),
        ("first.nobody", 'no member "nobody"'),
        ("number.next", "has no members"),
        ("&5", "needs a value in memory"),
        ("&(1 + 2)", "needs a value in memory"),
        ("(nothing *)5", "no type"),
        ("*(int *)0x2ffe", "0x2ffe cannot be read"),
        ("symbol", "type is unknown"),
        ("function(1)", "call a function"),
        ("chain + chain", "cannot be added"),
        ("1 - chain", "cannot be subtracted"),
        ("(" * 60 + "1" + ")" * 60, "too deeply"),
        ("-" * 1 + " -" * 60 + "1", "too deeply"),
        ("1 \\ 2", 'unexpected "\\"'),
    ],
)
def test_an_expression_without_a_value_has_a_reason(text, reason):
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, Scope())
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["1 == 1", "!1", "1 ? 2 : 3", "'a'", '"text"', "1 < 2", "1, 2", "a && b"])
def test_an_expression_that_another_evaluator_may_know_is_unsupported(text):
    with pytest.raises(Unsupported):
        scope = Scope()
        scope.variables.update(a=Value(INT, 1), b=Value(INT, 1))
        evaluate(text, scope)


@pytest.mark.parametrize(
    "text", ["a = 1", "$rax=1", "a += 1", "a<<=1", "a >>= 1", "a++", "--a", "a := 1", "a|=1", "*p=*q"]
)
def test_assignments_are_refused(text):
    with pytest.raises(ExpressionError) as caught:
        refuse_side_effects(text)
    assert "never writes to the target" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a == 1", "a <= 1", "a >= b", "a != 1", "'='", '"++"', "'it is a = b'::c", "a - -1", "-a"]
)
def test_what_only_looks_like_an_assignment_is_not_refused(text):
    refuse_side_effects(text)


def test_a_giant_is_refused():
    with pytest.raises(ExpressionError) as caught:
        refuse_side_effects("1+" * 3000 + "1")
    assert "longer than" in str(caught.value)
