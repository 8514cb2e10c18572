"""sympy: expressions expanded, differentiated and solved."""

from sympy import Symbol, cos, diff, expand, simplify, sin, solve


def run():
    x, y = Symbol("x"), Symbol("y")
    expand((1 + x + y) ** 12)
    diff(sin(x) * cos(x) ** 5 * x**3, x, 3)
    solve(x**2 + 3 * x - 10, x)
    simplify((x**2 - y**2) / (x - y))
