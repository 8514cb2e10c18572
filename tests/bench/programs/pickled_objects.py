"""pickle: a graph of objects written, read and copied."""

import copy
import pickle


class Part:
    def __init__(self, number):
        self.number = number
        self.name = "part %d" % number
        self.parts = []


def run():
    parts = [Part(i) for i in range(3000)]
    for part in parts:
        part.parts = [parts[part.number * k % len(parts)] for k in (3, 5, 7)]
    for protocol in (2, 4):
        for _ in range(4):
            pickle.loads(pickle.dumps(parts, protocol))
    copy.deepcopy([vars(part) for part in parts[:50]])
