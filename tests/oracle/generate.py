"""Generates programs: modules of random functions that allocate, free, resize, nest, recurse, yield, and run code from
exec(), also in threads. The same seed gives the same program.

    names = write_program(folder, seed)     # modules with strange names; returns the file names that tracemalloc will
    show
"""

import os
import random

# The file names of exec'd code. The first two files exist; one name is not UTF-8.
EXEC_FILES = ["ex\u00e9cut\u00e9 \u4e2d.py", "byte \udc80\udcff.py"]
EXEC_NAMES = EXEC_FILES + [
    "<string>",
    "",
    "astral \U0001f40d.py",
    "lone \ud800 surrogate.py",
    "new\nline.py",
    "tab\tand \x1b[31mred.py",
    "right \u202eto left.py",
    "back\\slash 'quoted\".py",
    "compiled.pyc",
    "x" * 500,
]

MODULES = ("plain", "m\u00f6dul", "\u6a21\u5757")
FUNCTIONS = 10  # in each module

HEADER = '''"""Generated. \u00c4 line which is not ASCII."""
import threading

from runtime import F, adopt, call, chance, drop, keep, number, run_code


class Thing{module}:
    def __init__(self, n):
        self.n = n
        self.data = bytearray(n)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return True


def series{module}(n):
    for i in range(n):
        yield bytes(i + {odd})


def deep{module}(n):
    if n == 0:
        return [bytes({odd})]
    return [deep{module}(n - 1), n * 1000]


def even{module}(n):
    return [bytes({odd})] if n == 0 else odd{module}(n - 1)


def odd{module}(n):
    result = even{module}(n - 1) if n > 0 else []
    result.append(bytearray(n))
    return result

'''

# Statements: {n} is a random number, {f} another function's index, {m} the module, {e} the index of a name to exec as.
STATEMENTS = [
    "keep(bytes({n}))",
    "keep(bytearray({n})); keep({n} * 1.5)",
    "keep([bytes(i + {n}) for i in range(number(5))])",
    "keep({{i: str(i) * {d} for i in range(number(20))}})",
    "keep({{str(i) for i in range({n}, {n} + number(6))}})",
    "keep([[i] * j for i in range(3) for j in range(number(4))])",
    "keep(tuple(str(i) for i in range({n}, {n} + 4)))",
    "keep(list(series{m}(number(12))))",
    "keep(\n    bytes(\n        {n}\n    )\n)",
    "keep([\n    bytes({n}),\n    # between\n    str({n} * 7),\n    (number(9), {n} / 7),\n])",
    "keep((lambda n: [bytes(n)])({n}))",
    "temporary = [bytes(i) for i in range({n} % 50)]\ndel temporary",
    "grown = bytearray(1)\nfor i in range({d}):\n    grown.extend(b'x' * {n})\nkeep(grown)",
    "grown = []\nfor i in range({n}):\n    grown.append(i * 1000)\nkeep(grown)\nif chance({d}):\n    del grown[{d}:]",
    "shrunk = bytearray({n} * 50)\ndel shrunk[{d}:]\nkeep(shrunk)",
    "text = ''\nfor i in range({d} * 3):\n    text += str(i)\nkeep(text)",
    "drop({d})",
    "drop({d} * 3)",
    "call({f})",
    "call({f})",
    "for _ in range(number(3)):\n    call({f})",
    "keep(deep{m}(number(60)))",
    "keep(odd{m}(number(40)))",
    "keep(Thing{m}({n}))",
    "with Thing{m}({n}) as thing:\n    keep(thing)\n    raise ValueError({n})",
    "waiting = series{m}({d})\nkeep(next(waiting))\nkeep(waiting)",
    "try:\n    keep({{}}[{n}])\nexcept KeyError as error:\n    keep(str(error) * {d})",
    "def inner(n):\n    if n:\n        return inner(n - 1)\n    return [bytes({n})]\nkeep(inner(number(5)))",
    "class Local(Thing{m}):\n    pass\nkeep(Local({d}))",
    "keep(run_code({e}, {n}))",
    "keep(run_code({e}, number(100)))",
    "if chance(9):\n    thread = threading.Thread(target=call, args=({f},))\n    thread.start()\n    thread.join()",
    "adopt(bytes({n}), {d})",
]


def write_function(rng, module, index, out):
    out.append("\n@F.append\ndef function_%d():" % index)
    if rng.random() < 0.3:
        out.append('    """\u00dcber %d."""' % index)
    for _ in range(rng.randint(3, 9)):
        statement = rng.choice(STATEMENTS).format(
            n=rng.choice((1, 7, 15, 16, 17, 33, 100, 400, 600)) + rng.randint(0, 50),
            d=rng.randint(1, 12),
            f=rng.randrange(len(MODULES) * FUNCTIONS),
            m=module,
            e=rng.randrange(len(EXEC_NAMES)),
        )
        out.append("    " + statement.replace("\n", "\n    "))
        if rng.random() < 0.2:
            out.append("\n" * rng.choice((0, 1, 130)))  # line tables encode large distances in another way


def exec_source(rng):
    source = "kept = []\n" + "\n" * rng.choice((0, 0, 3, 300))
    source += "def made(n):\n    x = [bytes(n), n * 1.25]\n\n    x += [bytearray(i + 1) for i in range(n % 5)]  # \u00e9\n    return x\n"
    source += "kept.append(made(n))\nkept.append(made(n + 1)); kept.append([[n] for _ in range(2)])\n"
    return source


def write_program(folder, seed):
    rng = random.Random(seed)
    for number, name in enumerate(MODULES):
        out = [HEADER.format(module=number, odd=rng.randint(1, 90))]
        for index in range(FUNCTIONS):
            write_function(rng, number, index, out)
        with open(os.path.join(folder, name + ".py"), "w", encoding="utf-8") as file:
            file.write("\n".join(out) + "\n")
    sources = [exec_source(rng) for _ in EXEC_NAMES]
    for name, source in zip(EXEC_FILES, sources):
        with open(os.path.join(os.fsencode(str(folder)), os.fsencode(name)), "w", encoding="utf-8") as file:
            file.write(source)
    names = [os.path.join(str(folder), name) if name in EXEC_FILES else name for name in EXEC_NAMES]
    return names, sources
