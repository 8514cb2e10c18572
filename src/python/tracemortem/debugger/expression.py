"""Evaluates C expressions over a stopped process without touching it: what `tm-traceback EXPRESSION` needs, no more.

gdb's own evaluator can be told to call and write nothing. lldb's cannot: to evaluate as much as 1+1 it maps memory in a
live process and writes to it. So lldb's front end evaluates here: numbers, registers, variables, casts, `* & - ~`,
`. -> []` and integer arithmetic in 64 bits. Knows no debugger: names and bytes come through `Scope`.
"""

import re

LONGEST = 4096  # characters
DEEPEST = 50  # nested parentheses and prefixes
MASK = (1 << 64) - 1


class ExpressionError(Exception):
    """Why an expression has no value: the reason only."""


class Unsupported(ExpressionError):
    """The expression may have a value, but not by this evaluator."""


class Type:
    """A C type. `kind`: integer, pointer, array, record, function, void, other, or unknown: that of a symbol without
    debug information.

    `target()` is a pointer's or array's element type, `member(name)` gives (offset, Type) of a record's member or None:
    both are asked late, since types refer to each other.
    """

    def __init__(self, kind, name, size=0, signed=False, target=None, member=None):
        self.kind = kind
        self.name = name
        self.size = size
        self.signed = signed
        self.target = target
        self.member = member


def integer(name, size, signed):
    return Type("integer", name, size, signed)


def pointer(target):
    return Type("pointer", target.name + " *", 8, target=lambda: target)


VOID = Type("void", "void")
UNKNOWN = Type("unknown", "unknown")
LONG = integer("long", 8, True)
UNSIGNED_LONG = integer("unsigned long", 8, False)


def _basic_types():
    """{name: (size, signed)} of the types which are known without debug information, on a 64-bit Linux."""
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
    """Where names and bytes come from: the selected frame of a stopped process or core."""

    def register(self, name):
        """The unsigned value of a register, or None."""
        return None

    def variable(self, name):
        """A local or global variable or a function as a Value, or None."""
        return None

    def type(self, name):
        """A named Type, "struct x" too, or None."""
        return None

    def read(self, address, length):
        """Exactly these bytes, or None."""
        return None


class Value:
    """A value of a type: its bits, or, as long as nobody needs them, the address where they are."""

    def __init__(self, type_, bits=None, address=None):
        self.type = type_
        self.bits = bits
        self.address = address


def refuse_side_effects(text):
    """Raise ExpressionError for an assignment, whatever the language: it could write to a register or to memory."""
    if len(text) > LONGEST:
        raise ExpressionError("it is longer than %d characters" % LONGEST)
    bare = re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", " ", text)
    if re.search(r"\+\+|--", bare) or re.search(r"(?<![=!<>])=(?!=)|<<=|>>=", bare):
        raise ExpressionError("it would assign a value, and nothing is ever written to the target")


def evaluate(text, scope):
    """The address which the expression means, from 0 to 2^64 - 1: an array's or a structure's own, else its value."""
    parser = _Parser(_tokens(text), scope)
    value = parser.expression(0, 0)
    if parser.peek():
        raise ExpressionError('unexpected "%s"' % parser.peek())
    return parser.as_address(value)


_TOKEN = re.compile(
    r"""\s*(?: \d[\w.]*                          # a number, or what begins as one
            | \$\w+                             # a register
            | [A-Za-z_]\w* (?: ::\w+ )*         # a name
            | -> | << | >> | [=!<>]= | && | \|\|
            | [^\w\s] )""",
    re.VERBOSE,
)
_BINARY = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_UNSUPPORTED = {"==", "!=", "<=", ">=", "<", ">", "&&", "||", "!", "?", ":", ",", "{", "}", '"', "'", "@", "#"}


def _tokens(text):
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ExpressionError('unexpected "%s"' % text[position:].strip()[:1])
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    """Parses and evaluates in one go, by precedence climbing."""

    def __init__(self, tokens, scope):
        self.tokens = tokens
        self.index = 0
        self.scope = scope

    # -- tokens

    def peek(self):
        return self.tokens[self.index] if self.index < len(self.tokens) else ""

    def next(self):
        token = self.peek()
        if not token:
            raise ExpressionError("it ends too early")
        self.index += 1
        return token

    def expect(self, token):
        if self.peek() != token:
            before = ' before "%s"' % self.peek() if self.peek() else ""
            raise ExpressionError('"%s" is missing%s' % (token, before))
        self.index += 1

    # -- grammar

    def expression(self, least, depth):
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

    def prefix(self, depth):
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

    def postfix(self, depth):
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
                raise ExpressionError("it would call a function, and nothing is ever run in the target")
            else:
                return value

    def primary(self, depth):
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
            value = self.scope.variable(token)
            if value is None:
                raise ExpressionError('there is no "%s" here' % token)
            return value
        if token in _UNSUPPORTED:
            raise Unsupported('"%s" is not supported' % token)
        raise ExpressionError('unexpected "%s"' % token)

    def number(self, token):
        match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)[uUlL]{0,3}", token)
        if not match:
            raise ExpressionError('"%s" is no whole number' % token)
        digits = match.group(1)
        value = int(digits, 8 if re.fullmatch(r"0\d+", digits) else 0)
        if value > MASK:
            raise ExpressionError("%s does not fit in 64 bits" % token)
        return Value(LONG if value < 1 << 63 else UNSIGNED_LONG, value)

    def cast(self):
        """The Type if a parenthesised type comes next, which is then eaten; else None and nothing is eaten."""
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

    def named_type(self, name):
        if name == "void":
            return VOID
        words = re.sub(r"\b(long|short) unsigned\b", r"unsigned \1", name)
        if words in _BASIC:
            return integer(name, *_BASIC[words])
        return self.scope.type(name)

    # -- values

    def unary(self, operator, value):
        if operator == "*":
            return self.dereference(value)
        if operator == "&":
            if value.address is None:
                raise ExpressionError('what has no address cannot have "&" before it')
            return Value(pointer(value.type), value.address)
        number = self.as_integer(value)
        number = {"-": -number, "+": number, "~": ~number}[operator]
        return Value(LONG if value.type.signed else UNSIGNED_LONG, number & MASK)

    def binary(self, operator, left, right):
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

    def pointer_arithmetic(self, operator, left, right):
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

    def element_size(self, value):
        target = value.type.target()
        if target.kind in ("void", "function"):
            return 1
        if not target.size:
            raise ExpressionError('the size of "%s" is not known here' % target.name)
        return target.size

    def decay(self, value):
        if value.type.kind == "array":
            return Value(pointer(value.type.target()), value.address)
        if value.type.kind == "function":
            return Value(pointer(value.type), value.address)
        return value

    def dereference(self, value):
        value = self.decay(value)
        if value.type.kind != "pointer":
            raise ExpressionError("what is no pointer cannot be dereferenced: cast it, as in *(unsigned long *)…")
        target = value.type.target()
        if target.kind == "void":
            raise ExpressionError("a void pointer cannot be dereferenced: cast it, as in *(unsigned long *)…")
        return Value(target, address=self.as_integer(value) & MASK)

    def member(self, value, name):
        if value.type.kind != "record":
            raise ExpressionError('"%s" has no members' % value.type.name)
        found = value.type.member(name)
        if found is None:
            raise ExpressionError('"%s" has no member "%s"' % (value.type.name, name))
        if value.address is None:
            raise Unsupported("a structure which is not in memory is not supported")
        offset, type_ = found
        return Value(type_, address=(value.address + offset) & MASK)

    def convert(self, type_, value):
        if value.type.kind == "unknown":
            value = Value(type_, address=value.address)  # the cast says what it is
        if type_.kind not in ("integer", "pointer"):
            if value.type is type_:
                return value
            raise ExpressionError('a cast to "%s" is not supported: cast a pointer to it' % type_.name)
        number = self.as_integer(self.decay(value)) & ((1 << 8 * type_.size) - 1)
        if type_.signed and number >> (8 * type_.size - 1):
            number -= 1 << 8 * type_.size
        return Value(type_, number & MASK)

    def as_integer(self, value):
        """The value of an integer or a pointer as Python's int, read from memory if it stands there."""
        kind = value.type.kind
        if kind == "unknown":
            raise ExpressionError("its type is not known, without debug information: cast it, or take its address by &")
        if kind not in ("integer", "pointer") or not 0 < value.type.size <= 8:
            raise Unsupported('a value of type "%s" is not supported' % value.type.name)
        if value.bits is None:
            data = self.scope.read(value.address, value.type.size)
            if data is None:
                raise ExpressionError("the memory at 0x%x cannot be read" % value.address)
            value.bits = int.from_bytes(data, "little", signed=value.type.signed) & MASK
        return value.bits - (1 << 64) if value.type.signed and value.bits >> 63 else value.bits

    def as_address(self, value):
        if value.type.kind in ("array", "record", "function"):
            if value.address is None:
                raise ExpressionError("it has no address")
            return value.address
        return self.as_integer(value) & MASK
