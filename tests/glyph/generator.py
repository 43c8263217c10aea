"""Random programs that load: every name is declared, every loop ends.

Most operations get operands of the kinds they take, so that programs go far; some do not, so that
failures are compared as well.
"""

from __future__ import annotations

from random import Random

_INTS = (0, 1, 2, 3, 7, 10, -1, -3, 255, 2**31, 2**62, 9223372036854775807)
_FLOATS = (0.0, 0.5, 1.0, -2.5, 3.25, 1e300 // 1, 100.125)
_STRINGS = ("", "a", "b", "ab", "é😀", "x y")
_KEYS = ("a", "b", "from", "k")
KINDS = ("int", "float", "string", "bool", "array", "object")


class Generator:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.blocks: list[dict[str, str]] = []  # names and the kind they were declared with
        self.names = 0
        self.loops = 0
        self.in_async = 0
        self.budget = 35  # statements
        self.signatures: list[tuple[str, str]] = []  # kinds of the functions' parameters

    def program(self) -> str:
        functions = "".join(self.function(number) for number in range(2))
        self.blocks = [{}]
        body = self.statements(3, "  ")
        return f"{functions}@ GET /run {{\n{body}  > {self.result()}\n}}\n"

    def function(self, number: int) -> str:
        self.signatures.append(("int", self.pick(KINDS)))
        self.blocks = [dict(zip("pq", self.signatures[number], strict=True)), {}]
        loops, self.loops = self.loops, 0
        body = self.statements(1, "  ", calls=number)
        text = (
            f"! f{number}(p: any!, q: any!) {{\n{body}  > {self.expression(None, 2, number)}\n}}\n"
        )
        self.loops = loops
        return text

    def pick(self, options: tuple[str, ...] | list[str]) -> str:
        return self.random.choice(options)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # --- statements ------------------------------------------------------------------------------

    def statements(self, depth: int, indent: str, calls: int = 2) -> str:
        text = ""
        for _ in range(self.random.randint(1, 5)):
            if self.budget > 0:
                self.budget -= 1
                text += indent + self.statement(depth, indent, calls) + "\n"
        return text

    def block(
        self, depth: int, indent: str, calls: int, names: dict[str, str] | None = None
    ) -> str:
        self.blocks += [dict(names or {}), {}]
        body = self.statements(depth - 1, indent + "  ", calls)
        if self.loops and self.chance(0.2):
            body += f"{indent}  {self.pick(('break', 'continue'))}\n"
        del self.blocks[-2:]
        return f"{{\n{body}{indent}}}"

    def statement(self, depth: int, indent: str, calls: int) -> str:
        choices = ["let"] * 4 + ["assign"] * 3 + ["mutate"]
        if depth > 0:
            choices += ["if", "if", "for", "while", "switch"]
        match self.pick(choices):
            case "let":
                return self.let(calls)
            case "assign":
                return self.assign(calls)
            case "mutate":
                return self.mutate(calls)
            case "if":
                text = f"if {self.expression('bool', 2, calls)} {self.block(depth, indent, calls)}"
                if self.chance(0.4):
                    condition = self.expression("bool", 1, calls)
                    text += f" else if {condition} {self.block(depth, indent, calls)}"
                if self.chance(0.5):
                    text += f" else {self.block(depth, indent, calls)}"
                return text
            case "for":
                return self.loop_over(depth, indent, calls)
            case "while":
                return self.loop_while(depth, indent, calls)
        return self.switch(depth, indent, calls)

    def let(self, calls: int) -> str:
        kind = self.pick(KINDS)
        value = self.expression(kind, 3, calls)
        if self.chance(0.15):
            # A name of an enclosing block: `$` assigns it.
            outer = [name for block in self.blocks[:-1] for name in block if name[0] != "i"]
            outer = [name for name in outer if name not in self.blocks[-1]]
            if outer:
                name = self.pick(outer)
                self.forget(name)
                return f"$ {name} = {value}"
        name = f"v{self.names}"
        self.names += 1
        self.blocks[-1][name] = kind
        return f"{self.pick(('$', 'let'))} {name} = {value}"

    def forget(self, name: str) -> None:
        for block in self.blocks:
            if name in block:
                block[name] = ""

    def assign(self, calls: int) -> str:
        names = [name for block in self.blocks for name in block if not name.startswith("i")]
        if not names:
            return self.let(calls)
        name = self.pick(names)
        kind = self.kind_of(name) or self.pick(KINDS)
        return f"{name} = {self.expression(kind, 3, calls)}"

    def mutate(self, calls: int) -> str:
        value = self.expression(None, 2, calls)
        objects, arrays = self.named("object"), self.named("array")
        if objects and self.chance(0.6):
            name, key = self.pick(objects), self.pick(_KEYS)
            target = f"{name}.{key}" if self.chance(0.5) else f'{name}["{key}"]'
            return f"{self.pick(('$ ', ''))}{target} = {value}"
        if arrays and self.chance(0.2):
            return f"{self.pick(arrays)}[{self.random.randint(0, 1)}] = {value}"
        return self.let(calls)

    def loop_over(self, depth: int, indent: str, calls: int) -> str:
        over = self.expression(self.pick(("array", "object")), 2, calls)
        names = {f"x{self.names}": ""}
        if self.chance(0.5):
            names = {f"k{self.names}": "", **names}
        self.names += 1
        self.loops += 1
        body = self.block(depth, indent, calls, names)
        self.loops -= 1
        return f"for {', '.join(names)} in {over} {body}"

    def loop_while(self, depth: int, indent: str, calls: int) -> str:
        # The counter is stepped first, and nothing else assigns it.
        name = f"i{self.names}"
        self.names += 1
        self.blocks[-1][name] = "int"
        limit = self.random.randint(0, 4)
        self.loops += 1
        body = self.block(depth, indent, calls)
        self.loops -= 1
        step = f"{indent}  {name} = {name} + 1\n"
        return f"$ {name} = 0\n{indent}while {name} < {limit} {{\n{step}{body[2:]}"

    def switch(self, depth: int, indent: str, calls: int) -> str:
        text = f"switch {self.expression(None, 1, calls)} {{\n"
        for _ in range(self.random.randint(0, 3)):
            value = self.expression(None, 1, calls)
            text += f"{indent}  case {value} {self.block(depth - 1, indent + '  ', calls)}\n"
        if self.chance(0.6):
            text += f"{indent}  default {self.block(depth - 1, indent + '  ', calls)}\n"
        return text + f"{indent}}}"

    def result(self) -> str:
        return "[" + ", ".join(name for block in self.blocks for name in block) + "]"

    # --- expressions -----------------------------------------------------------------------------

    def kind_of(self, name: str) -> str:
        return next(block[name] for block in reversed(self.blocks) if name in block)

    def named(self, kind: str | None) -> list[str]:
        return [
            name
            for block in self.blocks
            for name, its in block.items()
            if kind is None or its == kind
        ]

    def expression(self, kind: str | None, depth: int, calls: int) -> str:
        if kind is None or self.chance(0.002):
            kind = self.pick(KINDS)
        names = self.named(kind)
        if names and self.chance(0.35):
            return self.pick(names)
        if depth == 0:
            return self.literal(kind)
        if self.chance(0.1):
            return self.match(kind, depth, calls)
        if calls and self.chance(0.06):
            kinds = self.signatures[calls - 1]
            arguments = [self.expression(wanted, depth - 1, calls) for wanted in kinds]
            if self.chance(0.3):
                return f"({arguments[0]} |> f{calls - 1}({arguments[1]}))"
            return f"f{calls - 1}({', '.join(arguments)})"
        if self.chance(0.03):
            return f"(await async {{ > {self.expression(kind, depth - 1, calls)} }})"
        return self.operation(kind, depth - 1, calls)

    def operation(self, kind: str, depth: int, calls: int) -> str:
        def of(wanted: str | None) -> str:
            return self.expression(wanted, depth, calls)

        match kind:
            case "int" | "float":
                if self.chance(0.1):
                    return f"length({of(self.pick(('string', 'array', 'object')))})"
                if self.chance(0.1):
                    return f"-({of(kind)})"
                other = kind if self.chance(0.8) else self.pick(("int", "float"))
                terms = f"{of(kind)} {self.pick(('+', '-', '*'))} {of(other)}"
                if self.chance(0.3):
                    divisor = of(other) if self.chance(0.1) else self.pick(("2", "-3", "0.5"))
                    terms = f"{of(kind)} {self.pick(('/', '%'))} {divisor}"
                return f"({terms})" if self.chance(0.7) else f"({terms} - {of(kind)})"
            case "string":
                return f"({of('string')} + {of('string')})"
            case "bool":
                return self.boolean(of)
            case "array":
                if self.chance(0.4):
                    return f"({of('array')} + [{of(None)}])"
                if self.chance(0.3):
                    return f"append({of('array')}, {of(None)})"
                return f"[{of(None)}, {of(None)}]"
        if self.chance(0.3):
            return f"{{a: {of(None)}}}"
        return f"{{a: {of(None)}, {self.pick(_KEYS)}: {of(None)}}}"

    def boolean(self, of: object) -> str:
        assert callable(of)
        match self.random.randint(0, 5):
            case 0:
                return f"!({of('bool')})"
            case 1:
                return f"({of('bool')} && {of('bool')})"
            case 2:
                return f"({of('bool')} || {of('bool')})"
            case 3:
                kind = self.pick(("int", "float", "string"))
                return f"({of(kind)} {self.pick(('<', '<=', '>', '>='))} {of(kind)})"
            case 4:
                return f"({of(None)} {self.pick(('==', '!='))} {of(None)})"
        kind = self.pick(KINDS)
        return f"({of(kind)} == {of(kind)})"

    def match(self, kind: str, depth: int, calls: int) -> str:
        subject = self.expression(None, depth - 1, calls)
        cases = []
        for number in range(self.random.randint(1, 3)):
            pattern, names = self.pattern(2, f"m{self.names}_{number}")
            self.names += 1
            self.blocks.append(dict.fromkeys(names, ""))
            when = f" when {self.expression('bool', 1, calls)}" if self.chance(0.3) else ""
            cases.append(f"{pattern}{when} => {self.expression(kind, depth - 1, calls)}")
            self.blocks.pop()
        if self.chance(0.9):
            cases.append(f"_ => {self.expression(kind, depth - 1, calls)}")
        return f"(match {subject} {{ {', '.join(cases)} }})"

    def pattern(self, depth: int, name: str) -> tuple[str, list[str]]:
        match self.random.randint(0, 4 if depth else 2):
            case 0:
                return self.literal(self.pick(("int", "string", "bool"))).strip("()"), []
            case 1:
                return name, [name]
            case 2:
                return "_", []
            case 3:
                inner, names = self.pattern(depth - 1, name + "o")
                return f"{{{self.pick(_KEYS)}: {inner}}}", names
        first, names = self.pattern(depth - 1, name + "a")
        rest = f", ...{name}r" if self.chance(0.5) else ""
        return f"[{first}{rest}]", names + ([f"{name}r"] if rest else [])

    def literal(self, kind: str) -> str:
        match kind:
            case "int":
                value = self.random.choice(_INTS)
                return str(value) if value >= 0 else f"({value})"
            case "float":
                number = self.random.choice(_FLOATS)
                return f"{number:f}" if number >= 0 else f"({number:f})"
            case "string":
                return f'"{self.pick(_STRINGS)}"'
            case "bool":
                return self.pick(("true", "false"))
            case "array":
                return self.pick(("[]", "[1]", '["a", 2]', "[[1], [2]]"))
        return self.pick(("{}", "{a: 1}", '{a: "x", b: [1]}', "{from: {a: 1}}"))
