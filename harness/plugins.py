"""The one door for a user's own code: ``package.module:function`` named in a study file."""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from harness.errors import HarnessError

T = TypeVar("T")


def load(door: str) -> Any:
    """Return the function that ``package.module:function`` names.

    Raises:
        HarnessError: The module cannot be imported, or has no such function.
    """
    module_name, _, function = door.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"{door}: no module named '{error.name}'; install it, or start python in the folder that holds it"
        ) from error
    if not hasattr(module, function):
        raise HarnessError(f"{door}: module '{module_name}' has no '{function}'")
    return getattr(module, function)


def call(door: str, kind: type[T], **arguments: Any) -> T:
    """Call a user's function and check the type of what it returns.

    Raises:
        HarnessError: The function cannot be found, or returns something else.
    """
    result = load(door)(**arguments)
    if not isinstance(result, kind):
        raise HarnessError(f"{door}: returned a {type(result).__name__}; a {kind.__name__} is needed")
    return result
