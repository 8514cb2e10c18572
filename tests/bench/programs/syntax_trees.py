"""ast, tokenize and compile: a module of the standard library parsed, walked, written and compiled."""

import argparse
import ast
import io
import tokenize


def run():
    with open(argparse.__file__, encoding="utf-8") as file:
        source = file.read()
    for _ in range(4):
        tree = ast.parse(source)
        sum(isinstance(node, ast.Call) for node in ast.walk(tree))
        compile(tree, "argparse.py", "exec")
    list(tokenize.generate_tokens(io.StringIO(source[:40000]).readline))
