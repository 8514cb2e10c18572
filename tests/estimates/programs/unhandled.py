"""A worker that keeps the exceptions of its tasks, and so all that the tasks' frames had: the leak of many error reporters.

It is forked, as the workers of servers are. Says its process id, and waits.
"""

import os
import sys

failures = []


def load(number):
    return bytearray(200000)  # the line that the first row must name


def handle(number):
    message = load(number)
    if number % 3:
        raise ValueError("message %d cannot be handled" % number)
    return len(message)


def serve(count):
    for number in range(count):
        try:
            handle(number)
        except ValueError as error:
            failures.append(error)  # with its traceback


reading, writing = os.pipe()
worker = os.fork()
if worker == 0:
    os.close(writing)
    serve(90)
    print(os.getpid(), flush=True)
    os.read(reading, 1)
    os._exit(0)
sys.stdin.read()
os.close(writing)
os.waitpid(worker, 0)
