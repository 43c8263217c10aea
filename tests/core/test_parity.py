"""The twins have one surface: same names, same signatures, same documentation, same numbers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import glyph_fast._core as compiled
import pytest

import glyph_fast._pure as python
from glyph_fast import wire

CLASSES = [
    "Limits",
    "Counters",
    "Histogram",
    "Frame",
    "Turn",
    "Connection",
    "Room",
    "Message",
    "Context",
    "Plan",
    "Dispatch",
    "Poller",
]
FUNCTIONS = ["apply_mask", "encode_frame", "read_plain_head", "read_plain_upgrade", "read_plainly",
             "reset_socket", "unacknowledged"]  # fmt: skip


def public(cls: type) -> dict[str, object]:
    """The members a user may touch; what `object` and the runtime add is left out."""
    runtime = {"__reduce_cython__", "__setstate_cython__", "__pyx_vtable__", "__slots__"}
    return {
        name: member
        for name, member in vars(cls).items()
        if name not in runtime
        and (not name.startswith("_") or name in ("__len__", "__iter__", "__contains__"))
    }


@pytest.mark.parametrize("name", CLASSES)
def test_twins_have_the_same_members(name):
    ours, theirs = public(getattr(compiled, name)), public(getattr(python, name))
    # An instance attribute of the Poller's is plain in Python and declared in the compiled twin.
    attributes = {"turn", "accept_failed"} if name == "Poller" else set()
    assert set(ours) - attributes == set(theirs)


@pytest.mark.parametrize("name", CLASSES)
def test_twins_say_the_same(name):
    ours, theirs = getattr(compiled, name), getattr(python, name)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)
    for member, value in public(theirs).items():
        if callable(value) and not member.startswith("__"):
            assert inspect.getdoc(getattr(ours, member)) == inspect.getdoc(value), member


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_the_same(name):
    assert inspect.getdoc(getattr(compiled, name)) == inspect.getdoc(getattr(python, name))


@pytest.mark.parametrize("name", CLASSES)
def test_methods_take_the_same_parameters(name):
    for member, value in public(getattr(python, name)).items():
        if not inspect.isfunction(value) or member.startswith("__"):
            continue
        ours = inspect.signature(getattr(getattr(compiled, name), member)).parameters.values()
        theirs = inspect.signature(value).parameters.values()
        assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs], member


def test_cores_agree_on_the_numbers_of_the_wire():
    source = Path(compiled.__file__).with_name("_core.pyx").read_text()
    numbers = re.findall(r"^    ([A-Z_]+) = (\d+)", source, re.MULTILINE)
    assert len(numbers) > 40
    for name, number in numbers:
        for module in (wire, python):
            if hasattr(module, name):
                assert int(number) == getattr(module, name), name


def test_limits_have_the_same_defaults():
    ours, theirs = compiled.Limits(), python.Limits()
    for name in public(python.Limits):
        assert getattr(ours, name) == getattr(theirs, name), name
