"""Floats which die, and others which are born again in their blocks, out of CPython's free list."""


def make():
    return [i + 0.5 for i in range(200)]


def again():
    return [i + 0.25 for i in range(90)]  # 90 x 24


make()
kept = again()
