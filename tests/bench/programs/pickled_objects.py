"""pickle and copy: assemblies of objects written, read and copied."""

import copy
import pickle


class Part:
    def __init__(self, number, parts):
        self.number = number
        self.name = "part %d" % number
        self.parts = parts


def run():
    leaves = [Part(i, []) for i in range(1500)]
    parts = [Part(i, [leaves[i * k % len(leaves)] for k in (3, 5, 7)]) for i in range(1500)]
    for protocol in (2, 4):
        for _ in range(6):
            pickle.loads(pickle.dumps(parts, protocol))
    copy.deepcopy(parts)
