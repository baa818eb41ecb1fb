"""A user's own generator that misbehaves in the middle of its training."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from harness.models import Conditions, Generated


class Awkward(nn.Module):
    """One convolution, and something that goes wrong at the fifth update."""

    def __init__(self, channels: int, does: str, folder: str) -> None:
        super().__init__()
        self.paint = nn.Conv2d(channels, channels, 3, padding=1)
        self.does, self.calls, self.folder = does, 0, folder

    def forward(self, conditions: Conditions) -> Generated:  # noqa: PLR0912 - a list of mishaps
        """Paint (N, C, S, S), or misbehave."""
        assert conditions.source is not None
        image = torch.tanh(self.paint(conditions.source))
        self.calls += self.training
        if self.calls == 5:
            match self.does.partition(":"):
                case "sleep", _, _:
                    time.sleep(3600)
                case "raise", _, _:
                    raise ValueError("a network of the user's own")
                case "allocate", _, _:
                    torch.empty(2**50)
                case "python-memory", _, _:
                    bytearray(2**60)
                case "exit", _, _:
                    os._exit(3)
                case "kill-always", _, _:
                    os.kill(os.getpid(), signal.SIGKILL)
                case "leave-a-child", _, _:
                    if child := os.fork():
                        (Path(self.folder) / "child").write_text(str(child))
                        os.kill(os.getpid(), signal.SIGKILL)
                    time.sleep(3600)
                case "spoil", _, _:
                    torch.set_default_dtype(torch.float64)
                    torch.set_grad_enabled(False)
                    os.environ["HARNESS_SPOILT"] = "1"
                case "shout", _, _:
                    os.write(1, b"\x1b[2J" + b"x" * 200_000)
                    os.write(2, b"the last words\n")
                case "broken-gpu", _, _:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                case "half-a-character", _, _:
                    raise ValueError("file \udcff")
                case "no-room", _, _:
                    raise OSError(28, "No space left on device")
                case "diverge", _, _:
                    image = image * float("nan")
        return Generated(image)


def generator(
    *,
    image_size: int,
    channels: int,
    styles: int,
    does: str,
    once: str = "",
    folder: str = "",
    in_workers: bool = False,
) -> nn.Module:
    """Return the network; with `once`, a file, it misbehaves until that file is there; `in_workers`, there alone."""
    if in_workers and multiprocessing.parent_process() is None:
        does = "nothing"
    if once:
        if Path(once).exists():
            does = "nothing"
        Path(once).touch()
    return Awkward(channels, does, folder)
