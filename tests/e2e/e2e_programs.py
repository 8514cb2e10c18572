"""The folder of the programs that the end-to-end tests look at."""

import os


def program(name):
    return os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", name)
