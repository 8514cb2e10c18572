"""itertools, generators and sets: queens on a board, and words by their letters."""

import functools
import itertools


def queens(size):
    columns = range(size)
    for places in itertools.permutations(columns):
        if len({places[i] + i for i in columns}) == len({places[i] - i for i in columns}) == size:
            yield places


@functools.lru_cache(maxsize=None)
def ways(amount, coins):
    if amount == 0:
        return 1
    if amount < 0 or not coins:
        return 0
    return ways(amount - coins[0], coins) + ways(amount, coins[1:])


def run():
    for _ in range(3):
        assert len(list(queens(8))) == 92
    ways(200, (50, 20, 10, 5, 2, 1))
