"""The folder of the programs that the end-to-end tests look at, and running one to its end."""

import os
import subprocess

import debuggers


def program(name):
    return os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", name)


def run(command, text="", **variables):
    """The outcome of a command with `text` as its input and these variables in the environment."""
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    environment.update(dict({"PYTHONPATH": debuggers.PACKAGE_PATH}, **variables))
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=debuggers.PATIENCE,
    )
