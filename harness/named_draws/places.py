"""The place that asks for a draw: frames by file, qualified name and statement, never by line number."""

from __future__ import annotations

import contextlib
import dis
import site
import sysconfig
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, Literal, NamedTuple, TypeVar

Role = Literal["user", "library", "passed over", "bottom"]
USER: Final = "user"
LIBRARY: Final = "library"
PASSED_OVER: Final = "passed over"
BOTTOM: Final = "bottom"

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
BOTTOMS = (("torch/utils/data/_utils/worker.py", "_worker_loop"), ("multiprocessing/process.py", "_bootstrap"))
"""Frames below which a stack says how a process was started (forked or spawned), and nothing of the place."""
IMPORT = "<import>"
"""Instead of the user's code: a library draws while it is imported."""
ROOM = str(Path(__file__).parent)


class Place(NamedTuple):
    """Where a draw is asked for; equal in two runs whose code differs elsewhere."""

    inner: str
    """The innermost frame of the user's code, e.g. ``networks.py Block.__init__ conv``."""
    outer: str
    """The next frame of the user's code outside of it."""
    library: str
    """The innermost frame of a library, e.g. ``torch/nn/init.py kaiming_uniform_``; empty in the user's own code."""

    def __str__(self) -> str:
        return " < ".join(part for part in (self.library, self.inner, self.outer) if part)


class _Code:
    """What is known of one code object; it keeps the code alive, so that its id stays its own."""

    __slots__ = ("code", "ends", "label", "names", "role")

    def __init__(self, code: CodeType, role: Role, label: str) -> None:
        self.code, self.role, self.label = code, role, label
        self.ends: tuple[list[int], list[str]] | None = None
        self.names: dict[int, str] = {}

    def at(self, offset: int) -> str:
        """Return the label with the name of the statement that is executed at an offset of the byte code."""
        name = self.names.get(offset)
        if name is None:
            if self.ends is None:
                self.ends = statements(self.code)
            ends, statement_names = self.ends
            index = bisect_left(ends, offset)
            statement = statement_names[index] if index < len(ends) else ""
            name = self.names[offset] = f"{self.label} {statement}".rstrip()
        return name


_codes: dict[int, _Code] = {}


def place_of(frame: FrameType | None) -> Place:
    """Return the place that a stack asks from: the innermost two frames of the user's code, and of a library."""
    inner = library = ""
    while frame is not None:
        code = frame.f_code
        known = _codes.get(id(code))
        if known is None:
            known = _codes[id(code)] = _Code(code, *_classified(code, frame.f_globals.get("__name__", "")))
        role = known.role
        if role == USER:
            if code.co_name == "<lambda>" and _is_bottom(frame.f_back):
                break  # an argument of `bottom_call`
            if inner:
                return Place(inner, known.at(frame.f_lasti), library)
            inner = known.at(frame.f_lasti)
        elif role == LIBRARY:
            if not library and not inner:
                library = known.label
        elif role == BOTTOM:
            inner = inner or known.label
            break
        frame = frame.f_back
    return Place(inner, "", library)


def bottom(function: Function) -> Function:
    """Make a function of this room the end of every stack that is read for a place; a decorator."""
    code: CodeType = function.__code__
    _codes[id(code)] = _Code(code, BOTTOM, "")
    return function


@bottom
def bottom_call(function: Callable[[], Result]) -> Result:
    """Return what a function returns whose callers are no part of a place."""
    return function()


@contextlib.contextmanager
def bottom_at(frame: FrameType | None) -> Iterator[None]:
    """Make a frame's function the end of every stack, so that two ``with`` blocks at different places are compared."""
    while frame is not None and frame.f_code.co_filename == contextlib.__file__:
        frame = frame.f_back
    if frame is None:
        yield
        return
    code = frame.f_code
    before = _codes.get(id(code))
    _codes[id(code)] = _Code(code, BOTTOM, "")
    try:
        yield
    finally:
        del _codes[id(code)]
        if before is not None:
            _codes[id(code)] = before


def _is_bottom(frame: FrameType | None) -> bool:
    known = None if frame is None else _codes.get(id(frame.f_code))
    return known is not None and known.role == BOTTOM


def _classified(code: CodeType, module: str) -> tuple[Role, str]:
    file, name = code.co_filename, code.co_name
    if file == "<frozen importlib._bootstrap>" and name == "_find_and_load":
        return BOTTOM, IMPORT  # who imports a module first says nothing of it
    if file.startswith(ROOM) or name in COMPREHENSIONS:
        return PASSED_OVER, ""
    if file.startswith("<") or "ipykernel_" in file:
        cell = file.startswith("<ipython-input") or "ipykernel_" in file or module == "__main__"
        return (USER, f"<main> {code.co_qualname}") if cell else (PASSED_OVER, "")
    if any(file.endswith(ending) and name == function for ending, function in BOTTOMS):
        return BOTTOM, ""
    label = f"{short_path(file, module)} {code.co_qualname}"
    return (LIBRARY if is_library(file) else USER), label


def is_library(file: str) -> bool:
    """Return whether a source file belongs to Python or to an installed package, not to the user's own code."""
    return file.startswith(_LIBRARIES) or "/site-packages/" in file or "/dist-packages/" in file


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(f"{folder}/" for folder in folders)


_LIBRARIES = _library_folders()


def short_path(file: str, module: str) -> str:
    """Return as many of the last parts of a path as the module's name has: where a checkout lies says nothing.

    Example:
        >>> short_path("/tmp/a/models/unet.py", "models.unet"), short_path("/tmp/a/train.py", "__main__")
        ('models/unet.py', 'train.py')
    """
    parts = 1 if module in ("__main__", "__mp_main__") else module.count(".") + 1
    if file.endswith("/__init__.py"):
        parts += 1
    return "/".join(file.split("/")[-parts:])


_ENDS = ("STORE_", "POP_TOP", "RETURN_", "POP_JUMP", "RAISE_VARARGS", "YIELD_VALUE")


def statements(code: CodeType) -> tuple[list[int], list[str]]:
    """Return the offsets at which the statements of a function end, ascending, and the name of each.

    The name is what the statement assigns to (``self.conv = …`` is ``conv``), else what it calls
    (``generator.apply(…)``): two layers built by one function keep their own draws when a third comes between them.
    """
    ends: list[int] = []
    names: list[str] = []
    called: list[str] = []
    attributes = False
    for step in dis.get_instructions(code):
        kind = step.opname
        if kind.startswith("STORE_"):
            name = step.argval[0] if isinstance(step.argval, tuple) else step.argval
            names.append(name if isinstance(name, str) else ".".join(called))
        elif kind.startswith(_ENDS):
            names.append("return" if kind.startswith("RETURN_") else ".".join(called))
        else:
            if kind.startswith(("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF")):
                name = step.argval[0] if isinstance(step.argval, tuple) else step.argval
                attributes = not called
                called += [name] if attributes else []
            elif kind.startswith(("LOAD_ATTR", "LOAD_METHOD")) and attributes:
                called.append(step.argval)
            elif kind != "CACHE" and called:
                attributes = False
            continue
        ends.append(step.offset)
        called, attributes = [], False
    return ends, names
