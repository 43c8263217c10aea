"""Syntax trees as short text, to be compared in tests."""

from __future__ import annotations

from glyph_fast.glyph.syntax import nodes as n
from glyph_fast.glyph.syntax.declarations import HttpRoute, Item
from glyph_fast.glyph.syntax.diagnostics import Report
from glyph_fast.glyph.syntax.parser import parse
from glyph_fast.glyph.syntax.source import Source


def items_of(text: str) -> list[Item]:
    """The items of a program without syntax errors."""
    source = Source("a", text)
    report = Report(source)
    module = parse(source, report)
    errors = [found for found in report.diagnostics if found.severity == "error"]
    assert not errors, [found.headline() for found in errors]
    return module.items


def statements_of(text: str) -> list[n.Statement]:
    """The statements of a route's body."""
    (route,) = items_of("@ GET / {\n" + text + "\n}\n")
    assert isinstance(route, HttpRoute)
    return route.body.statements


def expression_of(text: str) -> str:
    """An expression, every operation in parentheses."""
    (statement,) = statements_of(f"$ x = {text}")
    assert isinstance(statement, n.Let) and statement.value is not None
    return show(statement.value)


def show(node: n.Expression) -> str:
    """An expression as text."""
    match node:
        case n.LiteralValue():
            return repr(node.value)
        case n.Name():
            return node.name
        case n.ArrayLiteral():
            return "[" + ", ".join(map(show, node.items)) + "]"
        case n.ObjectLiteral():
            return "{" + ", ".join(f"{k}: {show(v)}" for k, v in node.entries) + "}"
        case n.Field():
            return f"{show(node.base)}.{node.name}"
        case n.Index():
            return f"{show(node.base)}[{show(node.index)}]"
        case n.Call():
            return f"{show(node.callee)}({', '.join(map(show, node.arguments))})"
        case n.Unary():
            return f"({node.operator}{show(node.operand)})"
        case n.Binary():
            text = show(node.first)
            for operation in node.rest:
                text = f"({text} {operation.operator} {show(operation.right)})"
            return text
        case n.Logical():
            return "(" + f" {node.operator} ".join(map(show, node.operands)) + ")"
        case n.Await():
            return f"await({show(node.value)})"
        case n.Async():
            return "async"
        case n.Match():
            cases = [
                pattern(case.pattern)
                + (f" when {show(case.guard)}" if case.guard else "")
                + f" => {show(case.result)}"
                for case in node.cases
            ]
            return f"match {show(node.subject)} {{{'; '.join(cases)}}}"


def pattern(node: n.Pattern) -> str:
    """A pattern as text."""
    match node:
        case n.LiteralPattern():
            return repr(node.value)
        case n.Binding():
            return node.name
        case n.ObjectPattern():
            return "{" + ", ".join(f"{k}: {pattern(p)}" for k, p in node.entries) + "}"
        case n.ArrayPattern():
            parts = [pattern(item) for item in node.items]
            parts += [f"...{node.rest.name}"] if node.rest else []
            return "[" + ", ".join(parts) + "]"


def show_type(node: n.TypeExpression | None) -> str:
    """A type as text."""
    match node:
        case None:
            return "none"
        case n.NamedType():
            name = f"{node.module}.{node.name}" if node.module else node.name
            inner = ", ".join(map(show_type, node.arguments))
            return f"{name}<{inner}>" if inner else name
        case n.ArrayType():
            return f"{show_type(node.element)}[]"
        case n.OptionalType():
            return f"{show_type(node.inner)}?"
        case n.UnionType():
            return " | ".join(map(show_type, node.members))
        case n.FunctionType():
            return "function"
