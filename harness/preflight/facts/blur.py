"""Facts about blurs: what they let through, whether they can be undone, and what they do to gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models import GaussianBlur
from harness.preflight.facts.fact import Fact, Inspected
from harness.randomness import stream
from harness.study.network_settings import BlurSettings, CommonDiscriminatorSettings


def blur_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield what the blurs of the arms do, once for each kernel and each place, in the first arm that has it."""
    kernels, places = set(), set()
    for arm in arms:
        d = arm.settings.discriminator
        if not isinstance(d, CommonDiscriminatorSettings) or d.blur.position == "none":
            continue
        kernel = (d.blur.kernel_size, d.blur.sigma)
        if kernel not in kernels:
            kernels.add(kernel)
            yield from _kernel_facts(d.blur, arm.settings.data.image_size)
        if d.blur.kernel_size > 1 and (*kernel, d.blur.position) not in places:
            places.add((*kernel, d.blur.position))
            if d.blur.position == "input":
                yield _one_larger_kernel(arm, d.blur)
            elif d.blur.position == "output":
                yield from _backward(arm, d.blur)


def _kernel_facts(blur: BlurSettings, size: int) -> Iterable[Fact]:
    layer = GaussianBlur(blur.kernel_size, blur.sigma).double()
    subject = f"blur of kernel size {blur.kernel_size}, sigma {blur.sigma:g}"
    before = torch.get_rng_state()
    layer(torch.zeros(1, 1, size, size, dtype=torch.float64))
    silent = torch.equal(before, torch.get_rng_state())
    yield Fact(
        subject, f"a call {'draws nothing from' if silent else 'ADVANCES'} the global random stream", {"silent": silent}
    )
    shares = (0.25, 0.5, 0.75, 1.0)
    matrix = _along_one_axis(layer, size)
    if torch.equal(matrix, torch.eye(size, dtype=torch.float64)):
        yield Fact(subject, "is the identity", {})
        return
    response = [abs(_response(layer, math.pi * share)) for share in shares]
    line = torch.zeros(1, 1, size, size, dtype=torch.float64)
    line[..., size // 2] = 1
    board = ((torch.arange(size)[:, None] + torch.arange(size)) % 2 * 2 - 1).double()[None, None]
    peak, checker = layer(line)[..., size // 2, size // 2].item(), layer(board)[..., size // 2, size // 2].abs().item()
    yield Fact(
        subject,
        "lets through, along one axis, "
        + ", ".join(f"{r:.3f} at {s:g} pi" for s, r in zip(shares, response, strict=True))
        + f"; a line of one pixel keeps {peak:.3f} of its height, a checkerboard {checker:.2g}",
        {**{f"at {s:g} pi": r for s, r in zip(shares, response, strict=True)}, "line": peak, "checkerboard": checker},
    )
    values = torch.linalg.svdvals(matrix)
    rank, condition = int(torch.linalg.matrix_rank(matrix)), (values[0] / values[-1]).item()
    yield Fact(
        subject,
        f"on {size}x{size} maps it has rank {rank**2:,} of {size**2:,} and condition number {condition**2:.3g}: "
        + ("detail is weakened, not erased" if rank == size else "detail is erased"),
        {"rank": rank**2, "condition": condition**2},
    )


def _response(layer: GaussianBlur, frequency: float) -> float:
    taps = layer.kernel.double()
    x = torch.arange(len(taps), dtype=torch.float64) - (len(taps) - 1) / 2
    return (taps * torch.cos(frequency * x)).sum().item()


def _along_one_axis(layer: GaussianBlur, size: int) -> Tensor:
    """Return the (size, size) matrix B of which the blur of a map is B on both sides: B X B^T."""
    rows = torch.eye(size, dtype=torch.float64)[:, None, :, None].expand(size, 1, size, size)
    blurred: Tensor = layer(rows)
    return blurred[:, 0, :, 0].T


def _one_larger_kernel(arm: Inspected, blur: BlurSettings) -> Fact:
    """Compare the first convolution behind the blur with a single convolution of the joined kernel."""
    conv = next(m for m in arm.pair.discriminator.modules() if isinstance(m, nn.Conv2d))
    weight = conv.weight.detach().double()
    taps = GaussianBlur(blur.kernel_size, blur.sigma).kernel.double()
    around = blur.kernel_size - 1
    joined = F.conv2d(
        F.pad(weight.flatten(0, 1)[:, None], (around, around, around, around)), torch.outer(taps, taps)[None, None]
    ).view(*weight.shape[:2], weight.shape[2] + around, weight.shape[3] + around)
    x = torch.rand(1, conv.in_channels, 32, 32, generator=stream("preflight", "facts/blur"), dtype=torch.float64)
    two = F.conv2d(GaussianBlur(blur.kernel_size, blur.sigma).double()(x), weight)
    one = F.conv2d(x, joined)
    margin = (two.shape[-1] - one.shape[-1]) // 2
    gap = (two[..., margin:-margin, margin:-margin] - one).abs().max().item()
    side = joined.shape[-1]
    return Fact(
        arm.name,
        f"blur and first convolution are together one convolution of {side}x{side} (inside the borders, to {gap:.1g}): "
        "every feature is a function of the blurred image alone",
        {"kernel": side, "difference": gap},
    )


def _backward(arm: Inspected, blur: BlurSettings) -> Iterable[Fact]:
    """Yield what the blur does to a gradient that is the same for every place of the output, as of mean pooling."""
    side = -(-arm.settings.data.image_size // 8)
    x = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    (weights,) = torch.autograd.grad(GaussianBlur(blur.kernel_size, blur.sigma).double()(x).sum(), x)
    w = weights[0, 0]
    middle = side // 2
    yield Fact(
        arm.name,
        f"gradients pass back through the transposed blur: under mean pooling of the {side}x{side} map a corner counts "
        f"{w[0, 0]:.2f}, an edge {w[0, middle]:.2f}, the next ring {w[1, middle]:.2f} ({w[1, 1]:.2f} at its corners), "
        f"the middle {w[middle, middle]:.2f}",
        {
            "corner": w[0, 0].item(),
            "edge": w[0, middle].item(),
            "next ring": w[1, middle].item(),
            "middle": w[middle, middle].item(),
        },
    )
