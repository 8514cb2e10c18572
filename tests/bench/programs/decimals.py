"""decimal and fractions: a telephone bill, and pi."""

from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from fractions import Fraction


def bill():
    cent, rate, tax = Decimal("0.01"), Decimal("0.00894"), Decimal("0.0675")
    total = Decimal(0)
    for seconds in range(120000):
        price = (Decimal(seconds) * rate).quantize(cent, ROUND_HALF_EVEN)
        total += price + (price * tax).quantize(cent)
    return str(total)


def pi(precision):
    getcontext().prec = precision
    last, term, total, n, na, d, da = 0, Decimal(3), Decimal(3), 1, 0, 0, 24
    while total != last:
        last = total
        n, na = n + na, na + 8
        d, da = d + da, da + 32
        term = term * n / d
        total += term
    return total


def run():
    bill()
    for precision in range(100, 900, 20):
        pi(precision)
    getcontext().prec = 28
    sum((Fraction(1, n) for n in range(1, 300)), Fraction(0))
