"""Going through a syntax tree, node by node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from .nodes import Node

# What name resolution has added, and what holds no nodes.
_RESOLVED = frozenset({"at", "name", "variable", "means", "assigns", "path_variables", "given"})
_children: dict[type, tuple[str, ...]] = {}  # the fields of each kind of node that are entered


def walk(root: object) -> Iterator[Node]:
    """Every node of a tree, or of a list of trees, in no particular order.

    Follows the syntax only: what name resolution has added is not entered.
    """
    waiting = [root]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list | tuple):
            waiting.extend(found)
        elif isinstance(found, Node):
            yield found
            waiting.extend([getattr(found, name) for name in _fields_of(type(found))])


def children(node: Node) -> Iterator[Node]:
    """The nodes directly in a node."""
    waiting = [getattr(node, name) for name in _fields_of(type(node))]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list | tuple):
            waiting.extend(found)
        elif isinstance(found, Node):
            yield found


def _fields_of(kind: type[Node]) -> tuple[str, ...]:
    names = _children.get(kind)
    if names is None:
        names = tuple(item.name for item in fields(kind) if item.name not in _RESOLVED)
        _children[kind] = names
    return names
