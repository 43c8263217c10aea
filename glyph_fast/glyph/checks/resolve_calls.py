"""The meaning of names and calls: variables, constants, functions, built-ins, namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from ..syntax.diagnostics import Report, did_you_mean
from ..syntax.habits import ELSEWHERE, FUNCTIONS, NAMES
from ..syntax.nodes import Call, Expression, Field, Index, Name
from ..syntax.scopes import Blocks, Callee, Frame, ModuleScope, Variable
from ..syntax.source import Position
from .signatures import BUILTINS, CONNECTION_ONLY, HTTP_CLIENT, RESULT_METHODS, SOCKET, Arity

_NO_PROVIDERS = "providers are not supported"


class CallResolver:
    """The part of name resolution for names, fields and calls."""

    def __init__(
        self, module: ModuleScope, report: Report, place: str, blocks: Blocks, frame: Frame
    ) -> None:
        self.module = module
        self.report = report
        self.place = place
        self.blocks = blocks
        self.frame = frame

    def expression(self, node: Expression) -> None:
        """Resolve an expression; the resolver of bodies provides it."""
        raise NotImplementedError

    # --- reading ---------------------------------------------------------------------------------

    def name(self, node: Name) -> None:
        """A name that is read."""
        found = self.blocks.find(node.name)
        if found is not None:
            found.is_read = True
            node.variable = found
        elif node.name in self.module.constants:
            node.variable = self.module.constants[node.name]
        elif node.name in self.module.functions:
            node.means = Callee("function", function=self.module.functions[node.name])
        elif node.name == "ws":
            self.report.add("ws-as-value", node.at)
        elif node.name in self.module.namespaces:
            self.report.add("namespace-as-value", node.at, name=node.name)
        else:
            self._unknown_name(node)

    def _unknown_name(self, node: Name) -> None:
        if node.name in self.report.lost:
            return
        hint = NAMES.get(node.name, "")
        hint = hint or did_you_mean(node.name, [*self.blocks.visible(), *self.module.names()])
        if node.name == "auth" and self.place == "http":
            hint = "`auth` exists in routes with `+ auth(…)`"
        elif node.name in BUILTINS:
            hint = f"`{node.name}` is a function: `{node.name}(…)`"
        self.report.add("unknown-name", node.at, hint=hint or None, name=node.name)

    def _namespace(self, base: Expression) -> ModuleScope | None:
        """The module a name before a dot stands for, if no variable hides it."""
        if isinstance(base, Name) and self.blocks.find(base.name) is None:
            return self.module.namespaces.get(base.name)
        return None

    def field(self, node: Field) -> None:
        """A field that is read: of a value, or a constant or function of an imported module."""
        namespace = self._namespace(node.base)
        if namespace is None:
            self.expression(node.base)
            self._check_field(node)
        elif node.name in namespace.constants:
            node.means = Callee("constant", constant=namespace.constants[node.name])
        elif node.name in namespace.functions:
            node.means = Callee("function", function=namespace.functions[node.name])
        else:
            self._unknown_export(node, namespace)

    def _check_field(self, node: Field) -> None:
        """A slip in the name of a field, where the type of the object is declared.

        Objects may have more fields than their types, so others may be meant.
        """
        base = node.base
        variable = base.variable if isinstance(base, Name) else None
        declared = variable.declared if variable is not None else None
        if declared is None:
            return
        fields = [field.name for field in declared.node.fields]
        if node.name not in fields and (hint := did_you_mean(node.name, fields, close=0.75)):
            self.report.add(
                "unknown-field", node.at, hint=hint, type=declared.node.name, name=node.name
            )

    def _unknown_export(self, node: Field, namespace: ModuleScope) -> None:
        assert isinstance(node.base, Name)
        hint = did_you_mean(node.name, namespace.names(), f"`{node.base.name}.{{}}`")
        self.report.add(
            "unknown-export", node.at, hint=hint or None, module=node.base.name, name=node.name
        )

    # --- calling ---------------------------------------------------------------------------------

    def call(self, node: Call) -> None:
        """A call: finds what it calls, resolves the arguments, checks their number."""
        callee = node.callee
        if isinstance(callee, Name):
            node.means = self._plain(callee, node.piped)
        elif isinstance(callee, Field):
            node.means = self._dotted(callee)
        else:
            self.expression(callee)
            node.means = Callee("value")
        for argument in node.arguments:
            self.expression(argument)
        self._check_count(node, node.means)

    def _plain(self, callee: Name, piped: bool) -> Callee:
        """`f(…)`: a built-in, then a function of the program; a pipe asks the other way round."""
        name = callee.name
        function = self.module.functions.get(name)
        if function is not None and (piped or name not in BUILTINS):
            return Callee("function", function=function)
        if name in BUILTINS:
            return Callee("builtin", name)
        if self.blocks.find(name) is not None:
            self.name(callee)
            return Callee("value")
        self._unknown_function(name, callee.at, [*BUILTINS, *self.module.functions])
        return Callee("unknown", name)

    def _unknown_function(
        self, name: str, at: Position, known: Iterable[str], otherwise: str = ""
    ) -> None:
        if name not in self.report.lost:
            # A slip is an error. What resembles nothing may be a part of the language that is not
            # here: it fails where it is called, and the rest of the program is served.
            hint = FUNCTIONS.get(name) or did_you_mean(name, known) or otherwise
            if hint.startswith("did you mean") and name not in ELSEWHERE:
                self.report.add("misspelt-function", at, hint=hint, name=name)
            else:
                self.report.add("unknown-function", at, hint=hint or None, name=name)

    def _dotted(self, callee: Field) -> Callee:
        """`x.m(…)`: the full name, then a module's function, then `m` with `x` first."""
        base, name = callee.base, callee.name
        if isinstance(base, Name):
            full = f"{base.name}.{name}"
            if base.name == "ws":
                return self._socket(callee)
            if full in HTTP_CLIENT:
                self.report.add("http-client", base.at, name=full)
                return Callee("unknown", full)
            if full in BUILTINS:
                return Callee("builtin", full)
            namespace = self._namespace(base)
            if namespace is not None:
                return self._exported(callee, namespace)
            if not self._is_value(base):
                known = [*BUILTINS, *(f"ws.{each}" for each in SOCKET)]
                otherwise = f"there is no `{base.name}` here"
                self._unknown_function(full, base.at, known, otherwise)
                return Callee("unknown", full)
        self.expression(base)
        if self._is_provided(base):
            self.report.add("unknown-function", callee.at, hint=_NO_PROVIDERS, name=name)
            return Callee("unknown", name, takes_base=True)
        return self._method(callee)

    def _is_provided(self, base: Expression) -> bool:
        """Return whether a call is one of a provider, as far as the types of parameters tell."""
        while isinstance(base, Field | Index | Call):
            base = base.callee if isinstance(base, Call) else base.base
        return isinstance(base, Name) and base.variable is not None and base.variable.is_provided

    def _is_value(self, base: Name) -> bool:
        return (
            self.blocks.find(base.name) is not None
            or base.name in self.module.constants
            or base.name in self.module.functions
        )

    def _exported(self, callee: Field, namespace: ModuleScope) -> Callee:
        function = namespace.functions.get(callee.name)
        if function is not None:
            return Callee("function", function=function)
        self._unknown_export(callee, namespace)
        return Callee("unknown", callee.name)

    def _method(self, callee: Field) -> Callee:
        name = callee.name
        if name in RESULT_METHODS:
            return Callee("result", name, takes_base=True)
        if name in BUILTINS:
            return Callee("builtin", name, takes_base=True)
        function = self.module.functions.get(name)
        if function is not None:
            return Callee("function", function=function, takes_base=True)
        known = [*BUILTINS, *RESULT_METHODS, *self.module.functions]
        self._unknown_function(name, callee.at, known)
        return Callee("unknown", name, takes_base=True)

    def _socket(self, callee: Field) -> Callee:
        name = callee.name
        if name not in SOCKET:
            hint = did_you_mean(name, SOCKET, "`ws.{}`")
            self.report.add("unknown-ws-function", callee.at, hint=hint or None, name=name)
            return Callee("unknown", f"ws.{name}")
        if self.place == "constant":
            self.report.add("ws-in-constant", callee.at, name=name)
        elif self.place == "http" and name in CONNECTION_ONLY:
            self.report.add("ws-without-connection", callee.at, name=name)
        return Callee("socket", name)

    # --- numbers of arguments --------------------------------------------------------------------

    def _check_count(self, node: Call, target: Callee) -> None:
        count = len(node.arguments) + target.takes_base
        if target.kind == "socket" and not SOCKET[target.name].accepts(count):
            self.report.add(
                "ws-arity", node.at, name=target.name, takes=SOCKET[target.name], count=count
            )
            return
        takes = _arity(target)
        if takes is not None and not takes.accepts(count):
            name = target.name or (target.function.name if target.function else "")
            self.report.add("wrong-arity", node.at, name=name, takes=takes, count=count)


def _arity(target: Callee) -> Arity | None:
    if target.kind == "builtin":
        return BUILTINS[target.name]
    if target.kind == "function" and target.function is not None:
        return Arity(target.function.least, target.function.most)
    return None


__all__ = ["CallResolver", "Variable"]
