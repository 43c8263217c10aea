"""Blocks and variables."""

from __future__ import annotations

from glyph_fast.glyph.syntax.scopes import Blocks, Frame


def test_inner_blocks_see_outer_names_and_hide_them() -> None:
    blocks = Blocks(Frame())
    blocks.push()
    outer = blocks.declare("x")
    blocks.push()
    assert blocks.find("x") is outer and not blocks.is_here("x")
    inner = blocks.declare("x")
    assert blocks.find("x") is inner and blocks.is_here("x")
    blocks.pop()
    assert blocks.find("x") is outer


def test_every_variable_has_a_python_name_of_its_own() -> None:
    blocks = Blocks(Frame(), ["x"])
    blocks.push()
    names = [blocks.given["x"].python_name]
    names += [blocks.declare(name).python_name for name in ("x", "x", "2_x", "x_2", "v_x")]
    assert len(set(names)) == len(names)


def test_given_names_are_found_last_and_are_not_declared() -> None:
    blocks = Blocks(Frame(), ["input"])
    blocks.push()
    assert blocks.find("input") is blocks.given["input"]
    assert blocks.find_declared("input") is None
    own = blocks.declare("input")
    assert blocks.find("input") is own
    assert list(blocks.visible()) == ["input", "input"]


def test_inner_frames_share_python_names_with_the_outer_one() -> None:
    outer = Frame()
    blocks = Blocks(outer)
    blocks.push()
    first = blocks.declare("x")
    blocks.frame = Frame(outer)
    second = blocks.declare("x")
    assert first.frame is not second.frame
    assert first.python_name != second.python_name
