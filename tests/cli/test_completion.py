"""Completion offers what the engine's own tables have, in bash, zsh and fish."""

import os
import shutil
import subprocess

import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough


def offered(*words):
    return run("--complete", *words).stdout.splitlines()


def test_commands_options_keys_and_values():
    assert {"run", "info", "top", "diff", "completion"} <= set(offered("")) and "filter" not in offered("")
    assert offered("tr") == ["traceback", "traces"]
    assert offered("top", "./core", "line") == ["lineno"]
    assert {"filename", "lineno", "traceback", "function"} <= set(offered("top", "./core", ""))
    assert set(offered("top", "./core", "--s")) == {"--samples", "--sort", "--stop"}
    assert offered("top", "./core", "--sort", "a") == offered("top", "-n", "5", "x", "-s", "a") == ["allocated"]
    assert offered("top", "./core", "--sort", "=", "fr") == ["--sort=freed"]
    assert offered("diff", "old", "new", "trace") == ["traceback"]
    assert offered("top", "./core", "--include", "x") == []
    assert offered("nothing", "") == []


def test_a_target_may_be_a_process(service):
    assert str(service.pid) in offered("top", "") and str(service.pid) in offered("top", str(service.pid)[:2])
    assert str(service.pid) in offered("diff", "")


def script_of(shell, tmp_path):
    path = tmp_path / ("completion." + shell)
    path.write_text(run("completion", shell).stdout)
    return str(path)


def ask_shell(shell, script):
    if shutil.which(shell) is None:
        pytest.skip("no %s here" % shell)
    environment = dict(os.environ, PATH=os.path.dirname(COMMAND) + ":" + os.environ["PATH"])
    outcome = subprocess.run([shell, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert outcome.returncode == 0, outcome.stdout
    return outcome.stdout.decode().split()


def test_bash(tmp_path):
    ask = "source %s; COMP_WORDS=(tracemortem %s); COMP_CWORD=%d; _tracemortem; echo ${COMPREPLY[@]}"
    path = script_of("bash", tmp_path)
    assert ask_shell("bash", ask % (path, "to", 1)) == ["top"]
    assert ask_shell("bash", ask % (path, "top ./x --sort = co", 5)) == ["count"]
    assert "--mine" in ask_shell("bash", ask % (path, "top ./x --", 3))


def test_zsh(tmp_path):
    ask = "compdef() { :; }; compadd() { shift; print -l -- $*; }; source %s; words=(%s); CURRENT=%d; _tracemortem"
    path = script_of("zsh", tmp_path)
    assert ask_shell("zsh", ask % (path, "tracemortem to", 2)) == ["top"]
    assert "--mine" in ask_shell("zsh", ask % (path, "tracemortem top ./x --", 4))


def test_fish(tmp_path):
    ask = "source %s; complete -C '%s'"
    path = script_of("fish", tmp_path)
    assert ask_shell("fish", ask % (path, "tracemortem to")) == ["top"]
    assert "--mine" in ask_shell("fish", ask % (path, "tracemortem top ./x --mi"))


def test_an_unknown_shell_hears_what_to_type():
    outcome = run("completion", "csh")
    assert outcome.status == 2 and outcome.stdout == "" and "tracemortem completion bash >" in outcome.stderr
