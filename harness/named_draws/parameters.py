"""Which parameter a tensor is: its way through the modules that hold it, without the numbers of sequences."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

IGNORED = ("parametrizations", "original", "original0", "original1", "module", "_orig_mod")
"""Parts of a way that wrappers add: spectral_norm, weight_norm, DataParallel, compile."""
ENDINGS = ("_orig", "_g", "_v", "_bar")
"""What older wrappers append to the name of the weight that they keep."""


class Parameters:
    """The parameters and modules that were registered since this was installed; none is kept alive."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[weakref.ref[Any], weakref.ref[Any], str]] = {}
        self._storages: dict[int, int] = {}
        self._parents: weakref.WeakKeyDictionary[Any, tuple[weakref.ref[Any], str]] = weakref.WeakKeyDictionary()
        self._handles: list[Any] = []

    def install(self) -> None:
        """Hear of each parameter and module that a module takes in."""
        from torch.nn.modules import module

        self._handles = [
            module.register_module_parameter_registration_hook(self._parameter),
            module.register_module_module_registration_hook(self._module),
        ]

    def remove(self) -> None:
        """Hear of no more."""
        for handle in self._handles:
            handle.remove()

    def _parameter(self, owner: nn.Module, name: str, parameter: torch.Tensor | None) -> None:
        if parameter is None:
            return
        number = id(parameter)
        self._owners[number] = (
            weakref.ref(parameter, lambda _: self._owners.pop(number, None)),
            weakref.ref(owner),
            name,
        )
        if parameter.device.type == "cpu" and parameter.numel():
            self._storages[parameter.data_ptr()] = number

    def _module(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if child is not None:
            known = self._parents.get(child)
            if known is None or known[0]() is None:
                self._parents[child] = (weakref.ref(parent), name)

    def name_of(self, tensor: torch.Tensor) -> str:
        """Return the way to a parameter, or to the one whose ``.data`` this is; empty for any other tensor."""
        found = self._owners.get(id(tensor))
        if found is None or found[0]() is not tensor:
            found = self._owners.get(self._storages.get(tensor.data_ptr(), 0))
            parameter = None if found is None else found[0]()
            if found is None or parameter is None or parameter.data_ptr() != tensor.data_ptr():
                return ""
            if parameter.shape != tensor.shape:
                return ""
        names, module = [found[2]], found[1]()
        while module is not None:
            parent = self._parents.get(module)
            if parent is None:
                break
            names.append(parent[1])
            module = parent[0]()
        return way(names[::-1])


def way(names: list[str]) -> str:
    """Return the way to a parameter as it would be without wrappers and numbers.

    Example:
        >>> way(["net", "3", "parametrizations", "weight", "original"]), way(["net", "0", "weight_orig"])
        ('net.weight', 'net.weight')
    """
    last = names[-1]
    for ending in ENDINGS:
        last = last.removesuffix(ending)
    kept = [name for name in (*names[:-1], last) if not name.isdigit() and name not in IGNORED]
    return ".".join(kept)
