"""Does not close what it opens."""

import os
import socket


def opens():
    return open(os.devnull)


def forgets():
    file = opens()
    number = file.fileno()
    del file
    return number


forgets()
listener = socket.socket()
listener = None
