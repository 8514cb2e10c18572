"""Floats that die, and others that CPython creates in their blocks, from its free list."""


def make():
    return [i + 0.5 for i in range(200)]


def again():
    return [i + 0.25 for i in range(90)]  # 90 x 24


make()
kept = again()
