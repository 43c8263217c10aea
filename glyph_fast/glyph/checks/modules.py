"""Reading a program's files: the main one and, through `import`, those beside it.

Modules come out in the order in which they can be evaluated, imported ones first. Nothing outside
the folder of the main file is read: an import that leads out of it, be it through `..`, an absolute
path or a symbolic link, is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..syntax.declarations import Constant, Function, Import, Module, TypeDefinition
from ..syntax.diagnostics import Diagnostic, Report, did_you_mean
from ..syntax.nodes import LiteralValue
from ..syntax.parser import parse
from ..syntax.scopes import FunctionSymbol, ModuleScope, TypeSymbol, Variable
from ..syntax.source import Source, UndecodableSource


@dataclass(slots=True, eq=False)
class LoadedModule:
    """One file, parsed, with the names of its top level."""

    source: Source
    report: Report
    tree: Module
    number: int  # 0 is the main file; tells generated names of different files apart
    scope: ModuleScope = field(default_factory=ModuleScope)
    imports: dict[int, LoadedModule] = field(default_factory=dict)  # by id of the import's node

    def python_name(self, prefix: str, name: str) -> str:
        """Return the name in generated code of a name of the top level."""
        return f"{prefix}_{name}" if self.number == 0 else f"{prefix}{self.number}_{name}"


def load_modules(source: Source) -> list[LoadedModule]:
    """The module of `source` and all it imports, imported ones first, the main one last."""
    return _Loader(source).order


def read_source(path: Path, name: str) -> Source | Diagnostic:
    """A file's text, or what is wrong with its bytes. Raises OSError."""
    data = path.read_bytes()
    try:
        return Source.from_bytes(name, data, path)
    except UndecodableSource as error:
        readable = Source(name, data.decode("utf-8", "replace"), path)
        report = Report(readable)
        report.add("not-utf8", error.position, byte=error.byte)
        return report.diagnostics[0]


class _Loader:
    def __init__(self, main: Source) -> None:
        self.root = main.path.resolve().parent if main.path else None
        self.order: list[LoadedModule] = []
        self.loaded: dict[Path, LoadedModule | None] = {}  # None while a file is being loaded
        self._number = 0
        self._load(main)

    def _load(self, source: Source) -> LoadedModule:
        report = Report(source)
        module = LoadedModule(source, report, parse(source, report), self._number)
        self._number += 1
        key = source.path.resolve() if source.path else Path(source.name)
        self.loaded[key] = None
        for item in module.tree.items:
            if isinstance(item, Import):
                imported = self._import(module, item)
                if imported is not None:
                    module.imports[id(item)] = imported
        self.loaded[key] = module
        self.order.append(module)
        return module

    def _import(self, module: LoadedModule, node: Import) -> LoadedModule | None:
        add = module.report.add
        path = self._find(module, node)
        if path is None:
            return None
        if path in self.loaded:
            found = self.loaded[path]
            if found is None:
                add("import-cycle", node.at, path=_quoted(node.path))
            return found
        name = str(Path(module.source.name).parent / _relative(path, module))
        source = read_source(path, name)
        if isinstance(source, Diagnostic):
            add("import-failed", node.at, path=_quoted(node.path))
            return None
        return self._load(source)

    def _find(self, module: LoadedModule, node: Import) -> Path | None:
        """The file an import means, reported when there is none it may mean."""
        folder = module.source.path.parent if module.source.path else None
        add, shown = module.report.add, _quoted(node.path)
        if folder is None or self.root is None:
            add("import-not-found", node.at, path=shown)
            return None
        if not node.path.startswith(("./", "../")) or "\0" in node.path:
            add("import-outside", node.at, path=shown)
            return None
        for candidate in _candidates(folder / node.path):
            resolved = candidate.resolve()
            if not resolved.is_relative_to(self.root):
                add("import-outside", node.at, path=shown)
                return None
            if resolved.is_file():
                return resolved
        add("import-not-found", node.at, path=shown)
        return None


def _candidates(path: Path) -> Iterator[Path]:
    if path.suffix == ".glyph":
        yield path
        return
    yield path.with_name(path.name + ".glyph")
    yield path / "main.glyph"
    yield path / "index.glyph"


def _relative(path: Path, module: LoadedModule) -> Path:
    assert module.source.path is not None
    folder = module.source.path.resolve().parent
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _quoted(path: str) -> str:
    return f'"{path}"'


# --- names of the top level ----------------------------------------------------------------------


def declare(module: LoadedModule) -> None:
    """Enter what a module imports and declares into its scope, but its constants.

    What it imports must have been declared and checked before.
    """
    for item in module.tree.items:
        if isinstance(item, Import):
            _declare_import(module, item)
    for item in module.tree.items:
        if isinstance(item, Function | TypeDefinition):
            _declare_item(module, item)


def _declare_item(module: LoadedModule, item: Function | TypeDefinition) -> None:
    scope, name = module.scope, item.name
    table: dict[str, FunctionSymbol] | dict[str, TypeSymbol]
    table = scope.functions if isinstance(item, Function) else scope.types
    found = table.get(name)
    if found is not None and not (isinstance(found, FunctionSymbol) and found.is_offered):
        module.report.add("already-declared", item.at, name=name)
    elif isinstance(item, Function):
        python_name, value_name = module.python_name("f", name), module.python_name("value", name)
        scope.functions[name] = FunctionSymbol(name, item, python_name, value_name)
    else:
        scope.types[name] = TypeSymbol(item, scope)


def declare_constant(module: LoadedModule, item: Constant) -> None:
    """Enter a constant; what stands before its declaration cannot read it."""
    scope, name = module.scope, item.name
    if name in scope.constants or name in scope.functions:
        module.report.add("already-declared", item.at, name=name)
        return
    python_name = module.python_name("c", name)
    constant = scope.constants[name] = Variable(name, "constant", None, python_name)
    if isinstance(item.value, LiteralValue):
        constant.literal = item.value


def _declare_import(module: LoadedModule, node: Import) -> None:
    imported = module.imports.get(id(node))
    if imported is None:
        return
    if any(found.severity == "error" for found in imported.report.diagnostics):
        module.report.add("import-failed", node.at, path=_quoted(node.path))
        return
    if node.namespace is not None:
        module.scope.namespaces[node.namespace] = imported.scope
    for name, alias, at in node.names:
        if not _take(module.scope, imported.scope, name, alias):
            hint = did_you_mean(name, [*imported.scope.names(), *imported.scope.types])
            path = _quoted(node.path)
            module.report.add("unknown-import", at, hint=hint or None, path=path, name=name)


def _take(scope: ModuleScope, other: ModuleScope, name: str, alias: str) -> bool:
    found = False
    if name in other.functions:
        scope.functions[alias] = other.functions[name]
        found = True
    if name in other.constants:
        scope.constants[alias] = other.constants[name]
        found = True
    if name in other.types:
        scope.types[alias] = other.types[name]
        found = True
    return found
