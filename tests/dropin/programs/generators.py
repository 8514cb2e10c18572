"""Blocks made in generators and coroutines: their frames are on many stacks in turn, above other frames each time, and the
address of a finished one belongs to the next, at another depth.

The answer is a list of [frames, total_nframe, size, count] of the blocks that this program keeps."""

import json
import os
import random
import sys
import tracemalloc

SIZE = 3000
kept = []
chance = random.Random(5)


def keep():
    kept.append(bytes(SIZE + len(kept) % 7))


class Tree:
    """A tree whose walk is a generator for each node, as in pyperformance."""

    def __init__(self, left, right):
        self.left = left
        self.right = right

    def __iter__(self):
        if self.left:
            yield from self.left
        keep()
        yield self
        if self.right:
            yield from self.right
            keep()


def tree(depth):
    return Tree(tree(depth - 1), tree(depth - 1)) if depth else None


def numbers(count, inner=None):
    for number in range(count):
        if inner is not None:
            next(inner, None)
        keep()
        yield number


def chain(depth, end):
    """A generator that delegates to others, `depth` of them."""
    keep()
    if depth:
        yield from chain(depth - 1, end)
        yield from chain(depth // 2, end)
    else:
        yield from end
    keep()


class Pause:
    def __await__(self):
        keep()
        yield


async def task(depth):
    await Pause()
    keep()
    if depth:
        await task(depth - 1)
        await task(depth - 2 if depth > 1 else 0)
    return bytes(10)


def below(depth, call):
    """Call from deeper in the stack."""
    return below(depth - 1, call) if depth else call()


def in_turn(count):
    """Generators and coroutines, resumed in turn and at different depths."""
    running = [iter(tree(4)), numbers(20), chain(5, numbers(3)), numbers(9, numbers(30)), task(4).__await__()]
    for step in range(count):
        one = chance.randrange(len(running))

        def resume():
            keep()
            return next(running[one], running)

        if below(chance.randrange(12), resume) is running:
            running[one] = chance.choice([lambda: iter(tree(3)), lambda: chain(4, numbers(2)), lambda: task(3).__await__()])()
        if step % 50 == 0:
            try:
                running[one].throw(KeyError())
            except (KeyError, StopIteration, RuntimeError):
                running[one] = numbers(5)


def deep(count):
    """A walk below a stack that is deeper than what was remembered of it."""
    for _ in below(90, lambda: tree(3)):
        keep()
    below(70, lambda: in_turn(count))


def main():
    for _ in tree(6):
        keep()
    in_turn(400)
    deep(100)


def blocks(snapshot):
    found = {}
    for trace in snapshot.traces._traces:
        domain, size, frames, total = trace + ((None,) if len(trace) == 3 else ())
        if SIZE < size < SIZE + 100 and frames[0][0] == __file__:
            found.setdefault((frames, total), [0, 0])
            found[frames, total][0] += size
            found[frames, total][1] += 1
    return [[[list(frame) for frame in frames], total] + counts for (frames, total), counts in found.items()]


if __name__ == "__main__":
    main()
    kept.clear()
    chance.seed(7)
    if not tracemalloc.is_tracing():
        tracemalloc.start(int(sys.argv[1]))
    main()
    answer = blocks(tracemalloc.take_snapshot())
    tracemalloc.stop()
    os.write(1, json.dumps(sorted(answer)).encode())
