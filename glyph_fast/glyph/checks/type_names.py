"""The names in declared types: each has to be a type, or nothing would be checked by it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..syntax.diagnostics import Report, did_you_mean
from ..syntax.nodes import ArrayType, NamedType, OptionalType, TypeExpression, UnionType
from ..syntax.scopes import ModuleScope
from .signatures import BASIC_TYPES, PROVIDERS

# What other languages call them.
_MEANT = {
    **dict.fromkeys(("number", "Number"), "`int` or `float`"),
    **dict.fromkeys(("integer", "Integer", "Int", "long"), "`int`"),
    **dict.fromkeys(("double", "decimal", "Float"), "`float`"),
    **dict.fromkeys(("boolean", "Boolean", "Bool"), "`bool`"),
    **dict.fromkeys(("String", "text", "Str", "uuid", "UUID", "email"), "`str`"),
    **dict.fromkeys(("array", "Array", "list"), "`T[]`"),
    **dict.fromkeys(("map", "dict", "json", "JSON", "Object"), "`object`"),
    **dict.fromkeys(("date", "datetime", "Date", "DateTime", "Timestamp"), "`timestamp`"),
    **dict.fromkeys(("Any", "unknown"), "`any`"),
}
_NOTHING = frozenset({"void", "None", "null", "nil", "Void", "unit"})
_ARGUMENTS = {"List": 1, "Map": 2}


class TypeNames:
    """Reports what is no type in the declarations of one module.

    `others` are names that pass anything: of contracts, traits and providers the module declares.
    """

    def __init__(self, report: Report, scope: ModuleScope, others: Collection[str]) -> None:
        self._report = report
        self._scope = scope
        self._others = frozenset(others) | PROVIDERS

    def check(
        self,
        declared: TypeExpression | None,
        parameters: Collection[str] = (),
        *,
        of_an_answer: bool = False,
    ) -> None:
        """Report the unknown names in a type; `parameters` are type parameters.

        What a route answers with (`of_an_answer`) is often given a name that stands nowhere else:
        that is a warning, unless the name is nearly one that does exist.
        """
        for named in _names(declared):
            if named.module is not None:
                self._exported(named)
            elif named.name not in parameters and named.name not in self._others:
                self._plain(named, of_an_answer)

    def _plain(self, named: NamedType, of_an_answer: bool) -> None:
        name = named.name
        symbol = self._scope.types.get(name)
        if symbol is not None:
            self._count(named, len(symbol.node.type_parameters))
        elif name in BASIC_TYPES:
            self._count(named, _ARGUMENTS.get(name, 0))
        elif name not in self._report.lost:
            known = [*BASIC_TYPES, *self._scope.types]
            hint = f"did you mean {_MEANT[name]}?" if name in _MEANT else did_you_mean(name, known)
            if name in _NOTHING:
                hint = "a function that returns nothing has no result type"
            if of_an_answer and (not hint or name in _NOTHING):
                self._report.add("unchecked-answer", named.at, hint=hint or None, name=name)
            else:
                self._report.add("unknown-type", named.at, hint=hint or None, name=name)

    def _exported(self, named: NamedType) -> None:
        assert named.module is not None
        module = self._scope.namespaces.get(named.module)
        if module is None:
            if named.module not in self._report.lost:
                name = f"{named.module}.{named.name}"
                hint = did_you_mean(named.module, self._scope.namespaces, f"`{{}}.{named.name}`")
                hint = hint or f'`import "./{named.module}"` makes a module known'
                self._report.add("unknown-type", named.at, hint=hint, name=name)
        elif named.name not in module.types:
            hint = did_you_mean(named.name, module.types, f"`{named.module}.{{}}`")
            self._report.add(
                "unknown-export",
                named.at,
                hint=hint or None,
                module=named.module,
                name=named.name,
            )

    def _count(self, named: NamedType, takes: int) -> None:
        given = len(named.arguments)
        if given and given != takes:
            some = f"{takes or 'no'} type argument{'' if takes == 1 else 's'}"
            self._report.add("type-arguments", named.at, name=named.name, takes=some, count=given)


def _names(declared: TypeExpression | None) -> Iterator[NamedType]:
    match declared:
        case NamedType():
            yield declared
            for argument in declared.arguments:
                yield from _names(argument)
        case OptionalType():
            yield from _names(declared.inner)
        case ArrayType():
            yield from _names(declared.element)
        case UnionType():
            for member in declared.members:
                yield from _names(member)
