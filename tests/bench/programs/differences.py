"""difflib and textwrap: two texts compared."""

import difflib
import random
import textwrap


def run():
    choose = random.Random(3)
    words = ["lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed"]
    old = textwrap.wrap(" ".join(choose.choice(words) + str(choose.randrange(40)) for _ in range(15000)), 60)
    new = [line if choose.random() > 0.1 else line.upper() for line in old if choose.random() > 0.05]
    list(difflib.unified_diff(old, new))
    list(difflib.ndiff(old[:420], new[:420]))
    difflib.get_close_matches("consecteur", (line.split()[0] for line in old))
