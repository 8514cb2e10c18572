"""A small service, which the examples look at."""

import gc

sessions = []
cache = {}


class Session:
    def __init__(self, number):
        self.number = number
        self.history = [bytes(20000) for _ in range(3)]


def render(number):
    return "page %d " % number * 500


def handle(number):
    sessions.append(Session(number))
    if number % 3 == 0:
        cache[number] = render(number)


def serve(requests):
    for number in requests:
        handle(number)


def run():
    """Serves the first hundred requests."""
    gc.collect()
    serve(range(100))


def leak():
    """Sessions are never dropped."""
    serve(range(100, 400))
