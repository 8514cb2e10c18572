"""A shop whose basket grows when it hears of it; and code with names that a page, a terminal or a table could act on."""

import os
import sys

HOSTILE_FILES = (
    '/srv/</script><img src=x onerror="window.hacked=1">.py',
    "/srv/evil\u202ecod.py",
    "/srv/=cmd();'\"%s.py",
    "/srv/" + "long" * 2560 + ".py",
)
HOSTILE_FUNCTION = "</script><script>window.hacked=1</script>"
kept = []


class Basket:
    def add(self, count):
        for _ in range(count):
            kept.append(self.make())

    def make(self):
        return bytearray(100000)


def hostile(file_name):
    names = {"kept": kept}
    exec(compile("def call():\n    kept.append(bytearray(70000))\n", file_name, "exec"), names)
    call = names["call"]
    changes = {"co_name": HOSTILE_FUNCTION}
    if sys.version_info >= (3, 11):
        changes["co_qualname"] = HOSTILE_FUNCTION
    call.__code__ = call.__code__.replace(**changes)
    call()


def ready():
    os.write(int(os.environ["TM_READY"]), b"ready\n")
    sys.stdin.readline()


for name in HOSTILE_FILES:
    hostile(name)
basket = Basket()
basket.add(5)
ready()
basket.add(15)
ready()
