"""The one door for a user's own code: ``package.module:function`` named in a study file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import HarnessError, did_you_mean
from harness.study_folder import forget_another

T = TypeVar("T")


def load(door: str) -> Any:
    """Return the function that ``package.module:function`` names.

    Raises:
        HarnessError: The module cannot be found, fails when it is imported, or has no such function.
    """
    module_name, _, function = door.partition(":")
    forget_another(module_name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise HarnessError(_absent(door, str(error.name))) from error
    except Exception as error:
        raise HarnessError(f"{door}: importing '{module_name}' raised {in_words(error)}") from error
    if not hasattr(module, function):
        raise HarnessError(f"{door}: module '{module_name}' has no '{function}'")
    return getattr(module, function)


def require_module(door: str) -> None:
    """Look for the package of ``package.module:function`` without importing anything.

    Raises:
        HarnessError: There is none.
    """
    package = door.partition(":")[0].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise HarnessError(_absent(door, package))


def _absent(door: str, module: str) -> str:
    return f"{door}: no module named '{module}'; install it, or put it beside the study's file"


def call(door: str, kind: type[T], **arguments: Any) -> T:
    """Call a user's function and check the type of what it returns.

    Raises:
        HarnessError: The function cannot be found, does not take these arguments, fails, or returns something else.
    """
    function = load(door)
    called = f"{door}, called with {', '.join(f'{name}={value!r:.40}' for name, value in arguments.items())}"
    _check_arguments(called, function, arguments)
    try:
        result = function(**arguments)
    except HarnessError:
        raise
    except Exception as error:
        raise HarnessError(f"{called}: raised {in_words(error)}; a {kind.__name__} is needed") from error
    if not isinstance(result, kind):
        raise HarnessError(f"{called}: returned a {type(result).__name__}; a {kind.__name__} is needed")
    return result


def in_words(error: BaseException) -> str:
    """Return an error of a user's code in one line, with the place in that code where it came up."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}{place_of(error)}"


def place_of(error: BaseException | None) -> str:
    """Return the line of a user's code at which an error came up, in brackets, or nothing where it was elsewhere."""
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _is_library(file: str) -> bool:
    """Return whether a file is this harness's, Python's or an installed package's, or no file at all."""
    path = Path(file)
    if file.startswith("<") or {"site-packages", "dist-packages"} & {*path.parts}:
        return True
    return bool({Path(__file__).parent, Path(sysconfig.get_path("stdlib"))} & {*path.parents})


def _check_arguments(called: str, function: Callable[..., object], arguments: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    named = [p.name for p in signature.parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    unknown = [name for name in arguments if name not in named and not takes_all]
    if unknown:
        hint = did_you_mean(unknown[0], sorted(set(named) - set(arguments)) or named)
        raise HarnessError(f"{called}: it takes no '{unknown[0]}'{hint}")
    missing = [
        p.name
        for p in signature.parameters.values()
        if p.name in named and p.default is p.empty and p.name not in arguments
    ]
    if missing:
        raise HarnessError(f"{called}: it also needs '{missing[0]}'; give it a default, or name it in `options`")
