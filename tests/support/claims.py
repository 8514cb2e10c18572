"""Programs that say what they allocate: beside their lines, or on their first line of output. Several folders share them."""

import re

# It waits, and prints the address of an object that its line 4 has allocated.
SERVICE = """import os, sys
class Basket:
    def fill(self, number):
        self.items = [bytes(1000 + i) for i in range(number)]
basket = Basket()
basket.fill(300)
while True:
    os.write(int(os.environ["TM_READY"]), b"%d\\n" % id(basket.items[7]))
    if not sys.stdin.readline():
        break
    basket.fill(500)
"""


def claims_of(path):
    """{(line, size): count} for the lines of a program that have a claim: "# N x SIZE"."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.search(r"  # (\d+) x (\d+)$", line)
            if match:
                found[number, int(match.group(2))] = int(match.group(1))
    return found
