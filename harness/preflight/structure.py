"""Are two networks made of the same parts? Modules, attributes, weights and buffers are compared; nothing is run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

PLAIN = (int, float, str, bool, tuple, frozenset, type(None), torch.dtype, torch.Generator)
"""Types of attributes that can be compared; a generator's state is set anew at every step, from its layer's name."""
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
INTERNAL = frozenset(vars(nn.Module()))
"""What every module has; children, parameters and buffers are compared one by one."""


def same_structure(
    a: nn.Module, b: nn.Module, *, leaving_out: Iterable[nn.Module] = (), as_identity: tuple[type[nn.Module], ...] = ()
) -> bool:
    """Return whether two networks have equal modules in equal places, with bit-equal weights and buffers.

    Two such networks compute the same function of their weights, now and after any training.

    Args:
        a: A network.
        b: Another.
        leaving_out: Modules of either that are not compared, though their places are.
        as_identity: Layers that are compared elsewhere, and pass for `nn.Identity` here.
    """
    left_out = {id(module) for module in leaving_out}
    parts = dict(a.named_modules(remove_duplicate=False))
    others = dict(b.named_modules(remove_duplicate=False))
    if parts.keys() != others.keys():
        return False
    return all(
        (id(part) in left_out and id(others[path]) in left_out) or _same_part(part, others[path], as_identity)
        for path, part in parts.items()
    )


def hooked(module: nn.Module) -> bool:
    """Return whether something else than its own `forward` has a say in what a module computes."""
    return "forward" in vars(module) or any(getattr(module, hooks) for hooks in HOOKS)


def _same_part(a: nn.Module, b: nn.Module, as_identity: tuple[type[nn.Module], ...]) -> bool:
    if isinstance(a, (*as_identity, nn.Identity)) and isinstance(b, (*as_identity, nn.Identity)):
        return not hooked(a) and not hooked(b)
    return (
        parametrize.type_before_parametrizations(a) is parametrize.type_before_parametrizations(b)
        and all(list(getattr(a, hooks).values()) == list(getattr(b, hooks).values()) for hooks in HOOKS)
        and _same_attributes(_own_attributes(a), _own_attributes(b))
        and _same_tensors(dict(a.named_parameters(recurse=False)), dict(b.named_parameters(recurse=False)))
        and _same_tensors(dict(a.named_buffers(recurse=False)), dict(b.named_buffers(recurse=False)))
    )


def _own_attributes(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in INTERNAL}


def _same_attributes(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        type(value) is type(b[name])
        and isinstance(value, PLAIN)
        and (isinstance(value, torch.Generator) or value == b[name])
        for name, value in a.items()
    )


def _same_tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        x.shape == b[name].shape and x.requires_grad == b[name].requires_grad and torch.equal(x, b[name])
        for name, x in a.items()
    )
