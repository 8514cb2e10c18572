"""re: a log taken apart, substituted and split; patterns compiled."""

import re

LINE = re.compile(r"(?P<host>\S+) - - \[(?P<time>[^]]+)\] \"(?P<method>[A-Z]+) (?P<path>\S+) [^\"]*\" (\d+) (\d+|-)")


def run():
    form = '10.0.%d.%d - - [21/Nov/2026:13:%02d:00] "GET /page/%d?q=%d HTTP/1.1" 200 %d'
    lines = [form % (i % 7, i % 251, i % 60, i, i, i) for i in range(6000)]
    text = "\n".join(lines)
    for _ in range(3):
        hits = {}
        for line in lines:
            match = LINE.match(line)
            hits.setdefault(match.group("host"), []).append(match.groupdict())
        re.sub(r"\d+", lambda number: number.group() + "0", text)
        re.split(r"[\s\"]+", text)
    for i in range(60):
        re.compile(r"(a|b%d)*c{%d}[^x%d]+" % (i, i % 9, i))
        re.purge()
