"""Evaluates C expressions over a stopped process without touching it, as far as `tm-traceback EXPRESSION` needs it.

gdb's own evaluator has settings that forbid calls and writes. lldb's has not: even for 1+1 it maps memory in a live
process and writes to it. So lldb's front end evaluates here: numbers, registers, variables, casts, `* & - ~`,
`. -> []` and integer arithmetic in 64 bits. This module knows no debugger: names and bytes come through `Scope`.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Tuple

from .engine import Bytes

LONGEST = 4096  # characters
DEEPEST = 50  # nested parentheses and prefixes
MASK = (1 << 64) - 1


class ExpressionError(Exception):
    """An expression has no value: str() is the reason, and nothing else."""


class Unsupported(ExpressionError):
    """The expression may have a value, but this evaluator cannot find it."""


class Type:
    """A C type. `kind`: integer, pointer, array, record, function, void, other, or unknown. The last is the type of a
    symbol without debug information.

    The functions `target` and `member` find the types that this one refers to, when they are needed: types refer to
    each other in circles.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        size: int = 0,
        signed: bool = False,
        target: Callable[[], Type] | None = None,
        member: Callable[[str], Member | None] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.size = size
        self.signed = signed
        self._target = target
        self._member = member

    def target(self) -> Type:
        """The element type of a pointer or an array."""
        return self._target() if self._target else UNKNOWN

    def member(self, name: str) -> Member | None:
        """A record's member, or None."""
        return self._member(name) if self._member else None


Member = Tuple[int, Type]  # offset, type


def integer(name: str, size: int, signed: bool) -> Type:
    return Type("integer", name, size, signed)


def pointer(target: Type) -> Type:
    return Type("pointer", target.name + " *", 8, target=lambda: target)


VOID = Type("void", "void")
UNKNOWN = Type("unknown", "unknown")
LONG = integer("long", 8, True)
UNSIGNED_LONG = integer("unsigned long", 8, False)


def _basic_types() -> Dict[str, Tuple[int, bool]]:
    """{name: (size, signed)} of the types that are known without debug information, on a 64-bit Linux."""
    signed = {"char": 1, "short": 2, "short int": 2, "int": 4}
    signed.update((name, 8) for name in ("long", "long int", "long long", "long long int"))
    types = {"signed": (4, True), "unsigned": (4, False), "_Bool": (1, False), "bool": (1, False)}
    for name, size in signed.items():
        types[name] = types["signed " + name] = (size, True)
        types["unsigned " + name] = (size, False)
    for size in (1, 2, 4, 8):
        types["int%d_t" % (8 * size)] = (size, True)
        types["uint%d_t" % (8 * size)] = (size, False)
    types.update((name, (8, True)) for name in ("ssize_t", "intptr_t", "ptrdiff_t", "Py_ssize_t"))
    types.update((name, (8, False)) for name in ("size_t", "uintptr_t"))
    return types


_BASIC = _basic_types()


class Scope:
    """Where names and bytes come from: the selected frame of a stopped process or a core."""

    def register(self, name: str) -> int | None:
        """The unsigned value of a register, or None."""
        return None

    def variable(self, name: str) -> Value | None:
        """A local or global variable or a function as a Value, or None."""
        return None

    def type(self, name: str) -> Type | None:
        """The Type of this name, which may be "struct x", or None."""
        return None

    def read(self, address: int, length: int) -> Bytes | None:
        """Exactly these bytes, or None."""
        return None


class Value:
    """A value of a type: its bits, or the address to read them from when they are needed."""

    def __init__(self, type_: Type, bits: int | None = None, address: int | None = None) -> None:
        self.type = type_
        self.bits = bits
        self.address = address


def refuse_side_effects(text: str) -> None:
    """Raise ExpressionError for an assignment, in any language: it could write to a register or to memory."""
    if len(text) > LONGEST:
        raise ExpressionError("it is longer than %d characters" % LONGEST)
    bare = re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", " ", text)
    if re.search(r"\+\+|--", bare) or re.search(r"(?<![=!<>])=(?!=)|<<=|>>=", bare):
        raise ExpressionError("it would assign a value, and tracemortem never writes to the target")


def evaluate(text: str, scope: Scope) -> int:
    """The address that the expression means, from 0 to 2^64 - 1: where an array or a structure is, else its value."""
    parser = _Parser(_tokens(text), scope)
    value = parser.expression(0, 0)
    if parser.peek():
        raise ExpressionError('unexpected "%s"' % parser.peek())
    return parser.as_address(value)


_TOKEN = re.compile(
    r"""\s*(?: \d[\w.]*                          # a number, or what begins like one
            | \$\w+                             # a register
            | [A-Za-z_]\w* (?: ::\w+ )*         # a name
            | -> | << | >> | [=!<>]= | && | \|\|
            | [^\w\s] )""",
    re.VERBOSE,
)
_BINARY = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_UNSUPPORTED = {"==", "!=", "<=", ">=", "<", ">", "&&", "||", "!", "?", ":", ",", "{", "}", '"', "'", "@", "#"}


def _tokens(text: str) -> List[str]:
    tokens: List[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ExpressionError('unexpected "%s"' % text[position:].strip()[:1])
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    """Parses and evaluates at the same time, by precedence climbing."""

    def __init__(self, tokens: List[str], scope: Scope) -> None:
        self.tokens = tokens
        self.index = 0
        self.scope = scope

    # -- tokens

    def peek(self) -> str:
        return self.tokens[self.index] if self.index < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise ExpressionError("it ends too early")
        self.index += 1
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            before = ' before "%s"' % self.peek() if self.peek() else ""
            raise ExpressionError('"%s" is missing%s' % (token, before))
        self.index += 1

    # -- grammar

    def expression(self, least: int, depth: int) -> Value:
        left = self.prefix(depth)
        while True:
            operator = self.peek()
            if operator in _UNSUPPORTED:
                raise Unsupported('"%s" is not supported' % operator)
            precedence = _BINARY.get(operator, 0)
            if precedence <= least:
                return left
            self.next()
            left = self.binary(operator, left, self.expression(precedence, depth + 1))

    def prefix(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise ExpressionError("it is nested too deeply")
        operator = self.peek()
        if operator in ("*", "&", "-", "+", "~"):
            self.next()
            return self.unary(operator, self.prefix(depth + 1))
        if operator == "(":
            cast = self.cast()
            if cast:
                return self.convert(cast, self.prefix(depth + 1))
        return self.postfix(depth)

    def postfix(self, depth: int) -> Value:
        value = self.primary(depth)
        while True:
            operator = self.peek()
            if operator == "[":
                self.next()
                index = self.expression(0, depth + 1)
                self.expect("]")
                value = self.dereference(self.binary("+", value, index))
            elif operator in (".", "->"):
                self.next()
                value = self.member(self.dereference(value) if operator == "->" else value, self.next())
            elif operator == "(":
                raise ExpressionError("it would call a function, and tracemortem never runs anything in the target")
            else:
                return value

    def primary(self, depth: int) -> Value:
        token = self.next()
        if token == "(":
            value = self.expression(0, depth + 1)
            self.expect(")")
            return value
        if token[0].isdigit():
            return self.number(token)
        if token[0] == "$" and len(token) > 1:
            bits = self.scope.register(token[1:])
            if bits is None:
                raise ExpressionError("there is no register %s here" % token)
            return Value(UNSIGNED_LONG, bits & MASK)
        if token[0].isalpha() or token[0] == "_":
            found = self.scope.variable(token)
            if found is None:
                raise ExpressionError('there is no "%s" here' % token)
            return found
        if token in _UNSUPPORTED:
            raise Unsupported('"%s" is not supported' % token)
        raise ExpressionError('unexpected "%s"' % token)

    def number(self, token: str) -> Value:
        match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)[uUlL]{0,3}", token)
        if not match:
            raise ExpressionError('"%s" is not a whole number' % token)
        digits = match.group(1)
        value = int(digits, 8 if re.fullmatch(r"0\d+", digits) else 0)
        if value > MASK:
            raise ExpressionError("%s does not fit in 64 bits" % token)
        return Value(LONG if value < 1 << 63 else UNSIGNED_LONG, value)

    def cast(self) -> Type | None:
        """Consume a type in parentheses and return it. If none comes next, consume nothing and return None."""
        end = self.index + 1
        words = []
        while end < len(self.tokens) and re.match(r"[A-Za-z_]", self.tokens[end]):
            words.append(self.tokens[end])
            end += 1
        stars = 0
        while end < len(self.tokens) and self.tokens[end] in ("*", "const", "volatile"):
            stars += self.tokens[end] == "*"
            end += 1
        words = [word for word in words if word not in ("const", "volatile")]
        if not words or self.tokens[end : end + 1] != [")"]:
            return None
        type_ = self.named_type(" ".join(words))
        if type_ is None:
            if stars or len(words) > 1:
                raise ExpressionError('there is no type "%s" here: no debug information has it' % " ".join(words))
            return None  # a variable in parentheses
        for _ in range(stars):
            type_ = pointer(type_)
        self.index = end + 1
        return type_

    def named_type(self, name: str) -> Type | None:
        if name == "void":
            return VOID
        words = re.sub(r"\b(long|short) unsigned\b", r"unsigned \1", name)
        if words in _BASIC:
            return integer(name, *_BASIC[words])
        return self.scope.type(name)

    # -- values

    def unary(self, operator: str, value: Value) -> Value:
        if operator == "*":
            return self.dereference(value)
        if operator == "&":
            if value.address is None:
                raise ExpressionError('"&" needs a value in memory')
            return Value(pointer(value.type), value.address)
        number = self.as_integer(value)
        number = {"-": -number, "+": number, "~": ~number}[operator]
        return Value(LONG if value.type.signed else UNSIGNED_LONG, number & MASK)

    def binary(self, operator: str, left: Value, right: Value) -> Value:
        left, right = self.decay(left), self.decay(right)
        if operator in "+-" and "pointer" in (left.type.kind, right.type.kind):
            return self.pointer_arithmetic(operator, left, right)
        a, b = self.as_integer(left), self.as_integer(right)
        if operator in "/%":
            if not b:
                raise ExpressionError("it divides by zero")
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            number = quotient if operator == "/" else a - quotient * b
        elif operator in ("<<", ">>"):
            if not 0 <= b < 64:
                raise ExpressionError("it shifts by %d bits" % b)
            number = a << b if operator == "<<" else a >> b
        else:
            number = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}[operator]
        signed = left.type.signed and right.type.signed
        return Value(LONG if signed else UNSIGNED_LONG, number & MASK)

    def pointer_arithmetic(self, operator: str, left: Value, right: Value) -> Value:
        if left.type.kind == right.type.kind:
            if operator == "+":
                raise ExpressionError("two pointers cannot be added")
            distance = self.as_integer(left) - self.as_integer(right)
            return Value(LONG, (distance // self.element_size(left)) & MASK)
        if right.type.kind == "pointer":
            if operator == "-":
                raise ExpressionError("a pointer cannot be subtracted from a number")
            left, right = right, left
        distance = self.as_integer(right) * self.element_size(left)
        start = self.as_integer(left)
        return Value(left.type, (start + distance if operator == "+" else start - distance) & MASK)

    def element_size(self, value: Value) -> int:
        target = value.type.target()
        if target.kind in ("void", "function"):
            return 1
        if not target.size:
            raise ExpressionError('the size of "%s" is not known here' % target.name)
        return target.size

    def decay(self, value: Value) -> Value:
        if value.type.kind == "array":
            return Value(pointer(value.type.target()), value.address)
        if value.type.kind == "function":
            return Value(pointer(value.type), value.address)
        return value

    def dereference(self, value: Value) -> Value:
        value = self.decay(value)
        if value.type.kind != "pointer":
            raise ExpressionError("only a pointer can be dereferenced: cast the value, as in *(unsigned long *)…")
        target = value.type.target()
        if target.kind == "void":
            raise ExpressionError("a void pointer cannot be dereferenced: cast it, as in *(unsigned long *)…")
        return Value(target, address=self.as_integer(value) & MASK)

    def member(self, value: Value, name: str) -> Value:
        if value.type.kind != "record":
            raise ExpressionError('"%s" has no members' % value.type.name)
        found = value.type.member(name)
        if found is None:
            raise ExpressionError('"%s" has no member "%s"' % (value.type.name, name))
        if value.address is None:
            raise Unsupported("a structure that is not in memory is not supported")
        offset, type_ = found
        return Value(type_, address=(value.address + offset) & MASK)

    def convert(self, type_: Type, value: Value) -> Value:
        if value.type.kind == "unknown":
            value = Value(type_, address=value.address)  # the cast gives its type
        if type_.kind not in ("integer", "pointer"):
            if value.type is type_:
                return value
            raise ExpressionError('a cast to "%s" is not supported: cast a pointer to it' % type_.name)
        number = self.as_integer(self.decay(value)) & ((1 << 8 * type_.size) - 1)
        if type_.signed and number >> (8 * type_.size - 1):
            number -= 1 << 8 * type_.size
        return Value(type_, number & MASK)

    def as_integer(self, value: Value) -> int:
        """The value of an integer or a pointer as Python's int, read from memory if necessary."""
        kind = value.type.kind
        if kind == "unknown":
            raise ExpressionError("its type is unknown without debug information: cast it, or take its address with &")
        if kind not in ("integer", "pointer") or not 0 < value.type.size <= 8:
            raise Unsupported('a value of type "%s" is not supported' % value.type.name)
        if value.bits is None:
            if value.address is None:
                raise Unsupported("a value that is neither a number nor in memory is not supported")
            data = self.scope.read(value.address, value.type.size)
            if data is None:
                raise ExpressionError("the memory at 0x%x cannot be read" % value.address)
            value.bits = int.from_bytes(data, "little", signed=value.type.signed) & MASK
        return value.bits - (1 << 64) if value.type.signed and value.bits >> 63 else value.bits

    def as_address(self, value: Value) -> int:
        if value.type.kind in ("array", "record", "function"):
            if value.address is None:
                raise ExpressionError("it has no address")
            return value.address
        return self.as_integer(value) & MASK
