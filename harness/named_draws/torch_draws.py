"""Torch: every kernel that draws is served from named streams, below autograd and whoever calls it."""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.named_draws.parameters import Parameters
from harness.named_draws.streams import Position, Shape, Streams

if TYPE_CHECKING:
    import torch

DEVICES = ("CPU", "CUDA")
DRAWING = frozenset(
    {
        "_efficient_attention_forward",
        "_flash_attention_forward",
        "_fused_dropout",
        "_sample_dirichlet",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_flash_attention",
        "_standard_gamma",
        "bernoulli",
        "bernoulli_",
        "binomial",
        "cauchy_",
        "exponential_",
        "geometric_",
        "log_normal_",
        "multinomial",
        "native_dropout",
        "normal",
        "normal_",
        "poisson",
        "random_",
        "randperm",
        "rrelu_with_noise",
        "rrelu_with_noise_",
        "uniform_",
    }
)
"""Operators with a kernel that draws; all others that draw (rand, dropout, …) are made of these."""
FRESH = (8, 16)
"""Where, and how many, the bytes of the CPU generator's state that tell whether it has drawn since it was seeded."""


class TorchDraws:
    """Torch's generators under names, from `install` to `remove`."""

    kind = "torch"

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.parameters = Parameters()
        self._library: Any = None
        self._saved: list[tuple[torch.Generator, torch.Tensor]] = []
        self._replaced: list[tuple[Any, str, Any]] = []
        self._plain: dict[str, Position] = {}
        self._fresh = b""

    def install(self) -> None:
        """Serve every draw from here on.

        Raises:
            HarnessError: This torch cannot lend its kernels.
        """
        import torch

        if not hasattr(torch.library, "get_kernel"):
            raise HarnessError(f"torch {torch.__version__}: named draws need torch >= 2.9")
        self._fresh = _progress(torch.Generator())
        self._library = torch.library.Library("aten", "IMPL")
        devices = [device for device in DEVICES if device == "CPU" or torch.backends.cuda.is_built()]
        for operator in torch._C._dispatch_get_all_op_names():
            if operator.startswith("aten::") and operator[6:].partition(".")[0] in DRAWING:
                for device in devices:
                    if torch._C._dispatch_has_kernel_for_dispatch_key(operator, device):
                        self._serve(operator, device)
        if self.streams.naming:
            self._take_generators()
        self.parameters.install()

    def _take_generators(self) -> None:
        import torch

        for kind, generator in self._defaults():
            self._saved.append((generator, generator.get_state()))
            self.move(generator, self.streams.unseeded(kind))
        for module, name, function in (
            (torch.random, "initial_seed", self._initial_seed),
            (torch.random, "seed", self._new_seed),
        ):
            for owner in (module, torch):
                self._replaced.append((owner, name, getattr(owner, name)))
                setattr(owner, name, function)

    def remove(self) -> None:
        """Give torch its kernels back, and its generators as they were."""
        self._library._destroy()
        self.parameters.remove()
        for owner, name, function in self._replaced:
            setattr(owner, name, function)
        for generator, state in self._saved:
            generator.set_state(state)

    @staticmethod
    def _defaults() -> list[tuple[str, torch.Generator]]:
        import torch

        cuda = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
        return [("torch", torch.default_generator), *((f"torch cuda:{n}", g) for n, g in enumerate(cuda))]

    def move(self, generator: torch.Generator, position: Position) -> None:
        """Make a generator's own seed say where it stands; saving and restoring its state then goes there too."""
        generator.manual_seed(self.streams.mark(position))

    def _stand(self, asked: Any, device: torch.device | None) -> tuple[torch.Generator | None, Position]:
        """Return the generator that a kernel draws from, None when it must be left alone, and where it stands.

        Args:
            asked: The generator that the script gave, if it gave one.
            device: A device of CUDA, or None for the CPU.
        """
        import torch

        kind = "torch" if device is None else f"torch {device}"
        default = torch.default_generator if device is None else torch.cuda.default_generators[device.index or 0]
        generator = default if asked is None else asked
        if not self.streams.naming or (device is not None and torch.cuda.is_current_stream_capturing()):
            if self.streams.naming:
                self.streams.escaped(f"{kind}, while a graph is captured")
            return None, self._plain.setdefault(kind, Position(self.streams.unseeded(f"plain {kind}").sequence))
        if generator is default:
            if not self._is_fresh(generator):
                self.streams.escaped(kind)
            return generator, self._in_item(kind, generator)
        at = self.streams.position_of(generator.initial_seed())
        return generator, at or self.streams.explicit(kind, generator.initial_seed())

    def _in_item(self, kind: str, generator: torch.Generator) -> Position:
        """Return where a default generator draws from, which is elsewhere while an item is loaded."""
        position = self.streams.position_of(generator.initial_seed())
        if position is None:
            return self._position(generator, kind)
        outer = None if self.streams.item is None else self.streams.item.outer.get(kind)
        if outer is not None and outer.sequence is position.sequence and outer.at == position.at:
            position = self.streams.in_item(kind, outer)
        return position

    @property
    def position(self) -> Position:
        """Where the default generator of the CPU stands; seen by its seed, so that the script may seed it unseen."""
        import torch

        generator = torch.default_generator
        position = self._position(generator, "torch")
        if generator.initial_seed() != self.streams.mark(position):
            self.move(generator, position)
        return position

    @position.setter
    def position(self, position: Position) -> None:
        import torch

        generator = torch.default_generator
        if generator.initial_seed() != self.streams.mark(position):
            self.streams.forget_item(self._position(generator, "torch"))
            self.move(generator, position)

    def _position(self, generator: torch.Generator, kind: str) -> Position:
        """Return where a default generator stands, by its seed: a mark of ours, or what the script seeded it with."""
        value = generator.initial_seed()
        at = self.streams.position_of(value)
        return at or self.streams.seeded(kind, value, by_library=value == _worker_seed())

    def check(self) -> None:
        """Note whether a default generator moved since the last draw that was served."""
        if not self.streams.naming:
            return
        for kind, generator in self._defaults():
            if not self._is_fresh(generator):
                self.streams.escaped(kind)
                self.move(generator, self._position(generator, kind))

    def _is_fresh(self, generator: torch.Generator) -> bool:
        if generator.device.type == "cuda":
            return generator.get_offset() == 0
        return _progress(generator) == self._fresh

    def _serve(self, operator: str, device: str) -> None:
        import torch

        base, _, overload = operator[6:].partition(".")
        schema = getattr(getattr(torch.ops.aten, base), overload or "default")._schema
        names = [argument.name for argument in schema.arguments]
        at = names.index("generator") if "generator" in names else len(names)
        numbers = [names.index(name) for name in ("n", "num_samples") if name in names]
        kernel = torch.library.get_kernel(operator, device)
        function, in_place = f"torch.{base.rstrip('_')}", base.endswith("_")
        streams, cuda = self.streams, device == "CUDA"

        def serve(keys: Any, *args: Any, **kwargs: Any) -> Any:
            if streams.is_drawing():
                return kernel.call_boxed(keys, *args, **kwargs)
            tensor: torch.Tensor | None = None
            shape: Shape = ()
            for value in args:
                if isinstance(value, torch.Tensor):
                    tensor, shape = value, tuple(value.shape)
                    break
            if numbers:
                shape += tuple(args[number] for number in numbers)
            if tensor is None:
                tensor = kwargs["out"]
            asked = kwargs.get("generator", args[at] if at < len(args) else None)
            parameter = self.parameters.name_of(tensor) if in_place else ""
            with streams.lock:
                generator, position = self._stand(asked, tensor.device if cuda else None)
                draw = streams.draw(position, function, shape, sys._getframe(), parameter)
                if generator is not None:
                    generator.manual_seed(draw.seed)
                streams.drawing = threading.get_ident()
                try:
                    result = kernel.call_boxed(keys, *args, **kwargs)
                finally:
                    streams.drawing = 0
                    if generator is not None:
                        self.move(generator, position)
                if streams.watchers:
                    streams.watched(draw, result)
            return result

        self._library.impl(operator[6:], serve, device, with_keyset=True, allow_override=True)

    def _initial_seed(self) -> int:
        """Return the seed of the default generator as the script knows it; stands for `torch.initial_seed`."""
        return self.position.sequence.value

    def _new_seed(self) -> int:
        """Seed torch with a number that the block decides, not the machine; stands for `torch.seed`."""
        import torch

        with self.streams.lock:
            value = self.streams.draw(self.position, "torch.seed", (), sys._getframe()).seed
        torch.manual_seed(value)
        return value


def _progress(generator: torch.Generator) -> bytes:
    state = generator.get_state()
    return ctypes.string_at(state.data_ptr() + FRESH[0], FRESH[1])


def _worker_seed() -> int | None:
    """Return the seed that DataLoader has given to this process, if it is one of its workers."""
    worker = sys.modules.get("torch.utils.data._utils.worker")
    info = None if worker is None else worker.get_worker_info()
    return None if info is None else int(info.seed)
