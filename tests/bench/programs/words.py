"""str, re and collections: text taken apart and counted."""

import collections
import re


def run():
    text = " ".join("word%d" % (i * 7919 % 5000) for i in range(60000))
    for _ in range(6):
        counter = collections.Counter(re.findall(r"\w+", text))
        sorted(counter.items(), key=lambda item: (-item[1], item[0]))
        index = collections.defaultdict(list)
        for number, word in enumerate(text.split()):
            index[word[-2:]].append(number)
