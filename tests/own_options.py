"""Networks of a user's own with an option of every nature, and what may be said of each before training.

same: no difference shows in a short training, be it that there is none, that it comes late or seldom, or that it is
tiny: a note, never a proof · differs: nothing is said · invalid: it breaks the contract, and one line says how.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.models import Conditions, Generated, Judgement

SIZE = 16


class Painter(nn.Module):
    """A small generator whose option says what it does besides painting."""

    def __init__(self, channels: int, does: str) -> None:
        super().__init__()
        self.does, self.calls = does, 0
        self.first, self.last = nn.Conv2d(channels, 4, 3, padding=1), nn.Conv2d(4, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.zeros(()))
        self.seen: Tensor
        match does:
            case "dead layer":
                self.unused = nn.Conv2d(1, 1, 1)
            case "dropout":
                self.dropout = nn.Dropout(0.5)
            case "idle dropout":
                self.dropout = nn.Dropout(0.0)
            case "wider":
                self.first, self.last = nn.Conv2d(channels, 6, 3, padding=1), nn.Conv2d(6, channels, 3, padding=1)
                self.norm = nn.BatchNorm2d(6)
            case "three-dimensional":
                self.volume = nn.Conv3d(1, 1, 3, padding=1)
            case "frozen":
                self.first.requires_grad_(False)
            case "other start":
                self.scale = nn.Parameter(torch.full((1,), 0.5))
            case "global draw":
                torch.rand(3)
            case "raise when built":
                raise KeyError("palette")

    def forward(self, conditions: Conditions) -> Any:
        """(N, C, S, S) to the same, more or less."""
        assert conditions.source is not None
        self.calls += self.training
        x = conditions.source
        if self.does in GIVEN:
            x = GIVEN[self.does](x)
        x = self.norm(self.first(x)).relu()
        if self.does in HIDDEN:
            x = HIDDEN[self.does](self, x)
        image = torch.tanh(self.last(x))
        return RETURNED[self.does](self, image) if self.does in RETURNED else Generated(image)


def _negated(x: Tensor) -> Tensor:
    return -x


GIVEN: dict[str, Callable[[Tensor], Tensor]] = {
    "rare value": lambda x: -x if (x.mean() > 0.9).item() else x,
    "item": lambda x: x + 1 if x.sum().item() == 12345 else x,
    "random noise": lambda x: x + 0.1 * torch.randn_like(x),
    "python noise": lambda x: x + random.random(),
    "numpy noise": lambda x: x + float(np.random.default_rng().random()),
    "rare python": lambda x: -x if random.random() < 1e-9 else x,
    "clamp": lambda x: x.clamp(-5, 5),
    "clamp close": lambda x: x.clamp(-0.5, 0.5),
    "double negative": lambda x: _negated(_negated(x)),
    "epsilon": lambda x: x * (1 + 1e-15),
    "tiny": lambda x: x + 1e-20,
    "flip": lambda x: x.flip(3),
    "flip twice": lambda x: x.flip(3).flip(3),
    "detached": lambda x: x.detach(),
}
"""What the first layer gets."""


def _counted(painter: Painter, x: Tensor) -> Tensor:
    painter.seen += 1
    return x


def _centred(painter: Painter, x: Tensor) -> Tensor:
    with torch.no_grad():
        painter.seen.lerp_(x.mean().to(painter.seen.dtype), 0.1)
    return x - painter.seen


def _hooked(_: Painter, x: Tensor) -> Tensor:
    if x.requires_grad:
        x.register_hook(lambda gradient: gradient * 2)
    return x


HIDDEN: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "late scale": lambda g, x: x * 0.5 if g.calls > 60 else x,
    "late freeze": lambda g, x: x.detach() if g.calls > 60 else x,
    "late noise": lambda g, x: x + torch.randn_like(x) if g.calls > 100 else x,
    "seldom": lambda g, x: x * 2 if g.calls % 50 == 49 else x,
    "every third": lambda g, x: x * 2 if g.calls % 3 == 0 else x,
    "warm-up": lambda g, x: x * min(1.0, g.calls / 100),
    "counting buffer": _counted,
    "counting": lambda g, x: x + 0 * g.calls,
    "running mean": _centred,
    "dropout": lambda g, x: g.dropout(x),
    "idle dropout": lambda g, x: g.dropout(x),
    "batch deviation": lambda _, x: x + x.std(0).mean(),
    "other start": lambda g, x: x * g.scale,
    "sigmoid": lambda _, x: x.sigmoid(),
    "evaluation only": lambda g, x: x if g.training else x * 0.5,
    "three-dimensional": lambda g, x: x + g.volume(x[:, None])[:, 0],
    "hook": _hooked,
}
"""What the last layer gets."""
RETURNED: dict[str, Callable[[Any, Tensor], Any]] = {
    "tensor": lambda _, image: image,
    "half size": lambda _, image: Generated(image[:, :, ::2, ::2]),
    "batch of one": lambda _, image: Generated(image[:1]),
    "code alone": lambda _, image: Generated(image, image.flatten(1)),
    "attribute": lambda _, image: Generated(image.paint()),
    "key": lambda _, image: Generated({"image": image}["picture"]),
    "assertion": lambda g, image: Generated(image) if g.does == "" else _refuse(),
    "small size in evaluation": lambda g, image: Generated(image if g.training else image[:, :, ::2, ::2]),
}
"""What comes back."""


def _refuse() -> Generated:
    raise AssertionError("a latent is needed")


class Critic(nn.Module):
    """A small discriminator whose option says what it returns."""

    def __init__(self, channels: int, image_size: int, does: str) -> None:
        super().__init__()
        self.does = does
        self.layer = nn.Linear(channels * image_size**2, 1)

    def forward(self, image: Tensor, conditions: Conditions) -> Any:  # noqa: ARG002 - the contract's signature
        """(N, C, S, S) to one logit each."""
        logits = self.layer(image.flatten(1))
        match self.does:
            case "column":
                return Judgement(logits)
            case "tensor":
                return logits.squeeze(1)
            case "category of a list":
                return Judgement(logits.squeeze(1), logits.squeeze(1))
            case "type":
                return Judgement(logits.squeeze(1) + "1")
        return Judgement(logits.squeeze(1))


def painter(*, image_size: int, channels: int, styles: int, does: str = "", depth: int = 0) -> nn.Module:
    """Return the generator; `depth` is parsed and never used."""
    return Painter(channels, does)


def critic(*, image_size: int, channels: int, styles: int, does: str = "") -> nn.Module:
    """Return the discriminator."""
    return Critic(channels, image_size, does)


def no_module(**_: Any) -> str:
    """Return something that is no network."""
    return "a network"


GENERATOR: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("same", {"depth": 7}, "parsed and never used"),
    ("same", {"does": "nothing at all"}, "no-op"),
    ("same", {"does": "double negative"}, "no-op"),
    ("same", {"does": "flip twice"}, "no-op"),
    ("same", {"does": "detached"}, "no-op"),
    ("same", {"does": "clamp"}, "no-op on images in range"),
    ("same", {"does": "idle dropout"}, "no-op"),
    ("same", {"does": "counting"}, "stateful, without effect"),
    ("same", {"does": "late scale"}, "late"),
    ("same", {"does": "late freeze"}, "late: a layer frozen from step 60 on"),
    ("same", {"does": "late noise"}, "late and random"),
    ("same", {"does": "seldom"}, "stateful: every fiftieth call"),
    ("same", {"does": "rare value"}, "rare"),
    ("same", {"does": "rare python"}, "rare and random"),
    ("same", {"does": "item"}, "rare, by .item()"),
    ("same", {"does": "tiny"}, "tiny"),
    ("differs", {"does": "epsilon"}, "tiny: as large as rounding"),
    ("differs", {"does": "dead layer"}, "dead parameters"),
    ("differs", {"does": "counting buffer"}, "stateful: a buffer counts"),
    ("differs", {"does": "running mean"}, "stateful"),
    ("differs", {"does": "every third"}, "stateful"),
    ("differs", {"does": "warm-up"}, "stateful"),
    ("differs", {"does": "random noise"}, "random"),
    ("differs", {"does": "python noise"}, "random, not to be repeated"),
    ("differs", {"does": "numpy noise"}, "random, not to be repeated"),
    ("differs", {"does": "dropout"}, "random"),
    ("differs", {"does": "clamp close"}, "real"),
    ("differs", {"does": "flip"}, "real"),
    ("differs", {"does": "sigmoid"}, "real"),
    ("differs", {"does": "batch deviation"}, "real"),
    ("differs", {"does": "hook"}, "real: gradients alone"),
    ("differs", {"does": "frozen"}, "real: gradients alone"),
    ("differs", {"does": "evaluation only"}, "real: not in training"),
    ("differs", {"does": "wider"}, "real"),
    ("differs", {"does": "other start"}, "real"),
    ("differs", {"does": "three-dimensional"}, "real: weights of five dimensions"),
    ("invalid", {"does": "tensor"}, "returned a Tensor; a Generated(image, code) is needed"),
    ("invalid", {"does": "half size"}, "returned images of shape (3, 1, 8, 8); (3, 1, 16, 16) are needed"),
    ("invalid", {"does": "batch of one"}, "returned images of shape (1, 1, 16, 16); (3, 1, 16, 16) are needed"),
    ("invalid", {"does": "code alone"}, "gives a code but has no method encode(image); add it, or give None"),
    (
        "invalid",
        {"does": "attribute"},
        "raised AttributeError: 'Tensor' object has no attribute 'paint' (own_op",
    ),
    ("invalid", {"does": "key"}, "raised KeyError: 'picture' (own_options.py"),
    ("invalid", {"does": "assertion"}, "raised AssertionError: a latent is needed (own_options.py"),
    (
        "invalid",
        {"does": "small size in evaluation"},
        "in evaluation mode, called with Conditions(source (3, 1, 16, 16",
    ),
    ("invalid", {"does": "raise when built"}, "raised KeyError: 'palette' (own_options.py"),
    ("invalid", {"deos": "flip"}, "it takes no 'deos'; did you mean 'does'?"),
)
"""What may be said, the options, and their nature or what the line of an invalid one holds."""
DISCRIMINATOR: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("invalid", {"does": "column"}, "returned logits of shape (3, 1); (3,), one per image, or (3, H, W)"),
    ("invalid", {"does": "tensor"}, "returned a Tensor; a Judgement(real, category) is needed"),
    ("invalid", {"does": "category of a list"}, "returned category logits of shape (3,); (3, styles) are needed"),
    ("invalid", {"does": "type"}, "raised TypeError:"),
    ("same", {"does": "unknown"}, "no-op"),
)
SAID = {"same": "note: no difference seen, which is no proof; trained", "differs": "nothing; trained"}
"""What is said of an option, but for invalid ones."""


def written() -> list[str]:
    """Return the rows of the table of docs/own-code.md."""
    rows = ["| network | option | what it is | what is said of it |", "| --- | --- | --- | --- |"]
    for net, table in (("generator", GENERATOR), ("discriminator", DISCRIMINATOR)):
        for kind, options, nature in table:
            option = ", ".join(f"`{key}: {value}`" for key, value in options.items())
            invalid = kind == "invalid"
            said = f"invalid: …{nature.rstrip()}…" if invalid else SAID[kind]
            rows.append(f"| {net} | {option} | {'breaks the contract' if invalid else nature} | {said} |")
    return rows
