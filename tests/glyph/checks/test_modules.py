"""Programs of several files."""

from __future__ import annotations

from pathlib import Path

import pytest

from glyph_fast.glyph.serving.load import GlyphLoadError, load_program
from tests.glyph.harness import World

UTILS = """
module "utils"
from "./deep/models" import { User, LIMIT as MOST }
const NAME = "utils"
! shout(s: str!): str { > upper(s) + mark() }
! mark() { > "!" }
! most() { > MOST }
! check(u: User!) { > u.name }
@ GET /never { > 1 }
@ ws /never { on message { nope() } }
"""
MODELS = """
: User { name: str! }
const LIMIT = 7
! limit() { > LIMIT }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "utils.glyph").write_text(UTILS)
    (tmp_path / "deep" / "models.glyph").write_text(MODELS)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "main.glyph").write_text("! packed() { > 1 }\n")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "index.glyph").write_text("! indexed() { > 2 }\n")
    return tmp_path


def world(folder: Path, text: str) -> World:
    path = folder / "app.glyph"
    path.write_text(text)
    return World(text, path=path)


def error_of(folder: Path, text: str) -> list[str]:
    path = folder / "app.glyph"
    path.write_text(text)
    with pytest.raises(GlyphLoadError) as caught:
        load_program(path)
    return [found.headline().removeprefix(f"{folder}/") for found in caught.value.diagnostics]


def test_functions_and_constants_of_a_namespace(folder: Path) -> None:
    text = 'import "./utils"\n@ GET / { > [utils.shout("a"), utils.NAME, utils.most()] }\n'
    assert world(folder, text).get("/").json == ["A!", "utils", 7]


def test_alias_of_a_namespace_and_extension(folder: Path) -> None:
    text = 'import "./deep/models.glyph" as m\n@ GET / { > m.limit() }\n'
    assert world(folder, text).get("/").json == 7


def test_selected_names_and_their_aliases(folder: Path) -> None:
    text = 'from "./utils" import { shout, NAME as N }\n@ GET / { > [shout(N), "x" |> shout] }\n'
    assert world(folder, text).get("/").json == ["UTILS!", "X!"]


def test_folders_have_a_main_or_an_index_file(folder: Path) -> None:
    text = 'import "./pack"\nimport "./index"\n@ GET / { > [pack.packed(), index.indexed()] }\n'
    assert world(folder, text).get("/").json == [1, 2]


def test_types_of_another_module_check_values(folder: Path) -> None:
    text = (
        'import "./deep/models" as m\nfrom "./utils" import { check }\n'
        "@ POST / {\n  < input: m.User\n  > check(input)\n}\n"
    )
    app = world(folder, text)
    assert app.post("/", {"name": "ann"}).json == "ann"
    answer = app.post("/", {"name": 1})
    assert answer.status == 400 and "field name" in answer.json["error"]


def test_routes_of_imported_modules_are_not_served(folder: Path) -> None:
    app = world(folder, 'import "./utils"\n@ GET /a { > 1 }\n')
    assert [endpoint.pattern for endpoint in app.program.http] == ["/a"]
    assert app.program.sockets == []


def test_program_knows_its_files(folder: Path) -> None:
    app = world(folder, 'import "./utils"\n')
    assert [path.name for path in app.program.files] == ["models.glyph", "utils.glyph", "app.glyph"]


def test_failure_in_an_imported_module_points_there(folder: Path) -> None:
    (folder / "bad.glyph").write_text("! f() {\n  > 1 / 0\n}\n")
    app = world(folder, 'import "./bad"\n@ GET / { > bad.f() }\n')
    assert app.get("/").status == 500
    assert "bad.glyph:2:7: division by zero" in str(app.failures[0])


def test_errors_of_imported_modules_are_reported_with_their_file(folder: Path) -> None:
    (folder / "bad.glyph").write_text("! f() {\n  > nope\n}\n")
    assert error_of(folder, 'import "./bad"\n@ GET / { > 1 }\n') == [
        "bad.glyph:2:5: unknown name `nope`",
        'app.glyph:1:1: "./bad" has errors',
    ]


def test_cycles_are_errors(folder: Path) -> None:
    (folder / "a.glyph").write_text('import "./b"\n')
    (folder / "b.glyph").write_text('import "./a"\n')
    assert 'b.glyph:1:1: "./a" imports this file in turn' in error_of(folder, 'import "./a"\n')


@pytest.mark.parametrize(
    "path", ["/etc/hosts", "../app", "utils", "./../../x", "", "C:/x", "./deep/../../out"]
)
def test_imports_that_leave_the_folder_are_refused(folder: Path, path: str) -> None:
    (folder.parent / "out.glyph").write_text("! f() { }\n")
    assert "is outside the program's folder" in error_of(folder, f'import "{path}"\n')[0]


def test_symbolic_link_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = folder.parent / f"{folder.name}-outside.glyph"
    outside.write_text("! f() { }\n")
    (folder / "link.glyph").symlink_to(outside)
    assert "is outside the program's folder" in error_of(folder, 'import "./link"\n')[0]


def test_programs_without_a_file_cannot_import() -> None:
    with pytest.raises(GlyphLoadError) as caught:
        World('import "./x"\n')
    assert "there is no module" in str(caught.value)


def test_names_that_are_not_exported_are_errors(folder: Path) -> None:
    assert error_of(folder, 'from "./utils" import { shuot }\n')[0] == (
        'app.glyph:1:25: "./utils" has no `shuot`'
    )
    assert error_of(folder, 'import "./utils"\n@ GET / { > utils.NAM }\n')[0] == (
        "app.glyph:2:19: the module `utils` has no `NAM`"
    )


def test_file_that_is_not_utf_8_is_an_error_of_the_import(folder: Path) -> None:
    (folder / "bad.glyph").write_bytes(b"\xff")
    assert error_of(folder, 'import "./bad"\n') == ['app.glyph:1:1: "./bad" has errors']
