"""Python objects of a target as small typed objects of the debugger's Python: what the JSON of tm-find and tm-holders says.

This module knows no debugger and no engine.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple


class Object(NamedTuple):
    """An object of the target. `value` is its repr as far as one is known without running anything, else its type and
    address. `filename`, `lineno` and `function` say where it was allocated."""

    address: int
    type: Optional[str]  # None: its name cannot be read
    value: str
    refcount: Optional[int]
    size: int  # bytes of its block
    parts_size: int  # bytes of what belongs to it: items, keys, buffers
    filename: str
    lineno: int
    function: Optional[str]


class Step(NamedTuple):
    """A step of a path: how the one before refers to it (".name", "['key']", "[3]"), and what it is."""

    label: str
    address: int
    type: Optional[str]  # None: no object, or its name cannot be read
    value: str
    filename: Optional[str]  # None: its allocation was not traced
    lineno: Optional[int]


class Path(NamedTuple):
    """A way from `root`, such as "module shop", to an object, which is the last step."""

    root: str
    steps: Tuple[Step, ...]


class Holders(NamedTuple):
    """What holds an object. No path: nothing does."""

    address: int
    type: Optional[str]
    value: str
    refcount: Optional[int]  # counted; None: no object
    found: Optional[int]  # references that were found
    paths: Tuple[Path, ...]  # the shortest first, through different things that refer to it
    paths_total: int  # how many there are
    retained_size: int  # what would be freed without it: bytes,
    retained_count: int  # and blocks
    suspect: bool  # memory is missing that may hold references


def objects_of(answer: Dict[str, Any]) -> List[Object]:
    """The rows of tm-find."""
    return [
        Object(
            row["address"],
            row.get("type"),
            row["value"],
            row.get("refcount"),
            row["size"],
            row["parts_size"],
            row["filename"],
            row["lineno"],
            row.get("name"),
        )
        for row in answer["objects"]
    ]


def holders_of(answer: Dict[str, Any]) -> Holders:
    """The answer of tm-holders about an address."""
    found = [answer] + answer.get("other_paths", []) if answer["held"] else []
    return Holders(
        answer["address"],
        answer.get("type"),
        answer["value"],
        answer["refcount"],
        answer["found"],
        tuple(Path(path["root"], tuple(map(_step, path["path"]))) for path in found),
        answer["paths_total"],
        answer["retained_size"],
        answer["retained_count"],
        answer["suspect"],
    )


def _step(step: Dict[str, Any]) -> Step:
    return Step(
        step["label"], step["address"], step.get("type"), step["value"], step.get("filename"), step.get("lineno")
    )
