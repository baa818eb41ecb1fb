from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Beta, Dirichlet, Gamma
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from harness.named_draws.activation import NamedDraws, matched
from harness.named_draws.torch_draws import DRAWING

UNCALLED = {"_fused_sdp_choice", "_scaled_dot_product_flash_attention_for_cpu"}
"""Operators that torch marks as drawing, and whose kernels for the CPU do not."""


def drawn(draw: Callable[[], Any], block: int = 3, before: Callable[[], Any] = int) -> Any:
    with matched(block):
        before()
        return draw()


def test_every_operator_of_torch_that_draws_on_the_cpu_is_served() -> None:
    drawing = set()
    for operator in torch._C._dispatch_get_all_op_names():
        if operator.startswith("aten::") and torch._C._dispatch_has_kernel_for_dispatch_key(operator, "CPU"):
            base, _, overload = operator[6:].partition(".")
            if torch.Tag.nondeterministic_seeded in getattr(getattr(torch.ops.aten, base), overload or "default").tags:
                drawing.add(base)
    assert drawing - UNCALLED <= DRAWING


DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "rand": lambda: torch.rand(4, 5),
    "rand_like": lambda: torch.rand_like(torch.ones(3, dtype=torch.float64)),
    "randn": lambda: torch.randn(40, dtype=torch.float64),
    "randint": lambda: torch.randint(0, 1 << 40, (7,)),
    "randperm": lambda: torch.randperm(50),
    "normal of tensors": lambda: torch.normal(torch.zeros(4), torch.ones(4)),
    "normal of a number": lambda: torch.normal(2.0, torch.ones(4)),
    "normal out": lambda: torch.normal(0.0, 1.0, (4,), out=torch.empty(4)),
    "bernoulli": lambda: torch.bernoulli(torch.full((80,), 0.3)),
    "multinomial": lambda: torch.multinomial(torch.ones(40), 20),
    "poisson": lambda: torch.poisson(torch.full((40,), 30.0)),
    "binomial": lambda: torch.binomial(torch.full((40,), 30.0), torch.full((40,), 0.5)),
    "exponential_": lambda: torch.empty(4).exponential_(),
    "cauchy_": lambda: torch.empty(4).cauchy_(),
    "log_normal_": lambda: torch.empty(4).log_normal_(),
    "geometric_": lambda: torch.empty(40).geometric_(0.1),
    "random_": lambda: torch.empty(4, dtype=torch.int64).random_(),
    "dropout": lambda: F.dropout(torch.ones(80)),
    "alpha_dropout": lambda: F.alpha_dropout(torch.ones(80), training=True),
    "feature_alpha_dropout": lambda: F.feature_alpha_dropout(torch.ones(4, 40, 2), training=True),
    "dropout2d": lambda: F.dropout2d(torch.ones(4, 40, 2, 2)),
    "dropout3d": lambda: F.dropout3d(torch.ones(4, 40, 2, 2, 2)),
    "rrelu": lambda: F.rrelu(-torch.ones(8), training=True),
    "gumbel_softmax": lambda: F.gumbel_softmax(torch.zeros(8)),
    "attention": lambda: F.scaled_dot_product_attention(*[torch.ones(1, 8, 8)] * 2, torch.eye(8)[None], dropout_p=0.5),
    "lstm": lambda: nn.LSTM(4, 4, num_layers=2, dropout=0.5)(torch.ones(3, 2, 4))[0],
    "xavier": lambda: nn.init.xavier_normal_(torch.empty(4, 4)),
    "trunc_normal": lambda: nn.init.trunc_normal_(torch.empty(4, 4)),
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
    "gamma": lambda: Gamma(2.0, 1.0).sample((4,)),
    "beta": lambda: Beta(2.0, 1.0).rsample((4,)),
    "dirichlet": lambda: Dirichlet(torch.ones(4)).sample(),
    "sparse": lambda: nn.init.sparse_(torch.empty(40, 4), 0.5),
    "scripted": lambda: _scripted(torch.ones(80)),
    "vmap": lambda: torch.func.vmap(lambda x: x + torch.rand_like(x), randomness="different")(torch.zeros(3, 2)),
}


def _scripted(x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.jit.script(_dropped)(x)
    return result


def _dropped(x: torch.Tensor) -> torch.Tensor:
    return torch.dropout(x, 0.5, True)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_draw_depends_on_its_block_and_not_on_what_was_drawn_before(name: str) -> None:
    draw = DRAWS[name]
    first = drawn(draw)
    assert torch.equal(first, drawn(draw))
    assert torch.equal(first, drawn(draw, before=lambda: [torch.randn(9), torch.manual_seed(5), torch.rand(2)][0]))
    assert not torch.equal(first, drawn(draw, block=4))


def sample(draw: Callable[[], torch.Tensor], times: int) -> np.ndarray[Any, Any]:
    with matched(0):
        return torch.stack([draw() for _ in range(times)]).double().flatten().numpy()


CONTINUOUS: dict[str, tuple[Callable[[], torch.Tensor], Any]] = {
    "rand": (lambda: torch.rand(3), stats.uniform()),
    "uniform_": (lambda: torch.empty(3).uniform_(-1, 2), stats.uniform(-1, 3)),
    "randn": (lambda: torch.randn(3), stats.norm()),
    "randn of 17": (lambda: torch.randn(17), stats.norm()),
    "normal of tensors": (lambda: torch.normal(torch.full((3,), 2.0), torch.full((3,), 3.0)), stats.norm(2, 3)),
    "exponential_": (lambda: torch.empty(3).exponential_(2.0), stats.expon(scale=0.5)),
    "cauchy_": (lambda: torch.empty(3).cauchy_(), stats.cauchy()),
    "log_normal_": (lambda: torch.empty(3).log_normal_(0.0, 0.5), stats.lognorm(0.5)),
    "gamma": (lambda: Gamma(2.0, 1.0).sample((3,)), stats.gamma(2.0)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_named_draws_are_distributed_as_the_functions_that_they_replace(name: str) -> None:
    draw, distribution = CONTINUOUS[name]
    values = sample(draw, 400)
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", ["rand", "randn"])
def test_successive_draws_of_one_place_do_not_depend_on_each_other(name: str) -> None:
    values = sample(CONTINUOUS[name][0], 1000).reshape(1000, 3)
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.13
    assert len(np.unique(values)) > values.size - 5


def test_counts_are_distributed_as_they_should() -> None:
    chosen = sample(lambda: torch.multinomial(torch.tensor([1.0, 2.0, 3.0]), 1), 600)
    assert stats.chisquare(np.bincount(chosen.astype(int)), [100, 200, 300]).pvalue > 1e-4
    kept = sample(lambda: F.dropout(torch.ones(1, 4), 0.3), 500)
    assert stats.binomtest(int((kept > 0).sum()), kept.size, 0.7).pvalue > 1e-4
    assert set(np.round(np.unique(kept), 5)) == {0.0, round(1 / 0.7, 5)}
    orders = sample(lambda: torch.randperm(3), 600).reshape(600, 3)
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-4


def test_dtype_layout_gradient_and_out_are_the_functions_own() -> None:
    def results() -> list[Any]:
        out = torch.empty(3, dtype=torch.float64)
        returned = torch.randn(3, out=out)
        half = torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True)
        last = torch.rand_like(torch.empty(1, 2, 3, 4).to(memory_format=torch.channels_last))
        return [returned is out, half.dtype, half.requires_grad, half.is_leaf, last.stride(), torch.randn(2).device]

    plain = results()
    assert drawn(results) == plain
    assert plain[0]


def test_gradients_flow_through_draws_as_before() -> None:
    def gradient() -> tuple[torch.Tensor, torch.Tensor]:
        scale, x = torch.full((4,), 2.0, requires_grad=True), torch.ones(64, requires_grad=True)
        noise = Gamma(scale, torch.ones(4)).rsample()
        kept = F.dropout(x, 0.25)
        (noise.sum() + kept.sum()).backward()
        assert scale.grad is not None
        assert x.grad is not None
        assert torch.equal(x.grad, (kept > 0) / 0.75)
        return scale.grad, x.grad

    first, again = drawn(gradient), drawn(gradient)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] != 0).all()


class Network(nn.Module):
    def __init__(self, *, unused: bool = False, spectral: bool = False, inserted: bool = False) -> None:
        super().__init__()
        norm: Any = nn.utils.parametrizations.spectral_norm if spectral else (lambda layer: layer)
        self.first = norm(nn.Linear(6, 6))
        if unused:
            self.never = nn.Linear(6, 6)
        self.second = norm(nn.Linear(6, 6))
        self.net = nn.Sequential(nn.Linear(6, 6), *([nn.Tanh()] if inserted else []), nn.Dropout(0.5), nn.Linear(6, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.net(self.second(self.first(x)))
        return result


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.1)


def initialise_data(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        module.weight.data.normal_(0.0, 0.1)


def initialise_all(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)


Built = tuple[dict[str, torch.Tensor], torch.Tensor]


def built(function: Callable[[nn.Module], Any] = bool, **options: bool) -> Built:
    with matched(7):
        network = Network(**options)
        function(network)
        noise = torch.randn(4)
    return {name: value.clone() for name, value in network.state_dict().items()}, noise


INITIALISERS: list[Callable[[nn.Module], Any]] = [
    bool,
    lambda network: network.apply(initialise),
    lambda network: network.apply(initialise_data),
    initialise_all,
]


@pytest.mark.parametrize("function", INITIALISERS)
def test_an_unused_layer_changes_no_other_weight_and_no_later_draw(function: Callable[[nn.Module], Any]) -> None:
    (plain, noise), (other, other_noise) = built(function), built(function, unused=True)
    assert set(other) - set(plain) == {"never.weight", "never.bias"}
    assert all(torch.equal(value, other[name]) for name, value in plain.items())
    assert torch.equal(noise, other_noise)


def test_two_layers_of_one_shape_have_weights_of_their_own() -> None:
    plain, _ = built()
    weights = [value for name, value in plain.items() if name.endswith("weight")]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(weights, 2))


def test_spectral_norm_changes_no_weight_that_it_normalises() -> None:
    (plain, noise), (normed, other_noise) = built(), built(spectral=True)
    for name in ("first", "second"):
        assert torch.equal(plain[f"{name}.weight"], normed[f"{name}.parametrizations.weight.original"])
    assert torch.equal(plain["net.2.weight"], normed["net.2.weight"])
    assert torch.equal(noise, other_noise)


@pytest.mark.parametrize("function", INITIALISERS)
def test_a_layer_without_weights_in_a_sequence_moves_no_weight(function: Callable[[nn.Module], Any]) -> None:
    (plain, _), (other, _) = built(function), built(function, inserted=True)
    assert torch.equal(plain["net.0.weight"], other["net.0.weight"])
    assert torch.equal(plain["net.2.weight"], other["net.3.weight"])


@pytest.mark.slow  # checkpoint imports the compiler, which takes seconds
@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_in_a_checkpoint_gets_the_same_draws(reentrant: bool) -> None:
    def gradients(*, checkpointed: bool) -> list[torch.Tensor]:
        network = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.5))
        x = torch.ones(2, 8, requires_grad=True)
        for _ in range(3):
            y = checkpoint(network, x, use_reentrant=reentrant) if checkpointed else network(x)
            y.square().sum().backward()
        after = torch.randn(3)
        return [*(weight.grad for weight in network.parameters() if weight.grad is not None), after]

    def run(*, checkpointed: bool) -> list[torch.Tensor]:
        with matched(1):
            return gradients(checkpointed=checkpointed)

    assert all(torch.equal(a, b) for a, b in zip(run(checkpointed=True), run(checkpointed=True), strict=True))
    with matched(1):
        network = nn.Sequential(nn.Dropout(0.5))
        x = torch.ones(4096, requires_grad=True)
        y = checkpoint(network, x, use_reentrant=reentrant)
        y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y)


def draw_elsewhere() -> torch.Tensor:
    return torch.rand(2)


def test_seeding_again_repeats_the_draws_as_it_does_without_names() -> None:
    with matched(1):
        torch.manual_seed(3)
        first = torch.randn(4), torch.rand(2)
        torch.manual_seed(8)
        other = torch.randn(4)
        torch.manual_seed(3)
        again, elsewhere = torch.randn(4), draw_elsewhere()
    assert torch.equal(first[0], again)
    assert torch.equal(first[1], elsewhere)
    assert not torch.equal(first[0], other)


def test_the_first_seed_of_a_program_is_left_out_of_the_names() -> None:
    def seeded(seed: int) -> tuple[torch.Tensor, int]:
        torch.manual_seed(seed)
        return torch.randn(4), torch.initial_seed()

    (first, seed), (second, other_seed) = drawn(lambda: seeded(1)), drawn(lambda: seeded(2))
    assert torch.equal(first, second)
    assert (seed, other_seed) == (1, 2)


def test_a_saved_state_is_gone_back_to() -> None:
    with matched(1):
        torch.rand(2)
        state = torch.get_rng_state()
        first = torch.randn(4)
        with torch.random.fork_rng():
            inside = torch.randn(4)
        outside = torch.randn(4)
        torch.set_rng_state(state)
        again = torch.randn(4)
        different = torch.rand(9)
    assert torch.equal(first, again)
    assert torch.equal(inside, outside)
    assert different.shape == (9,)


def test_a_state_from_an_earlier_process_begins_new_draws() -> None:
    def saved() -> tuple[torch.Tensor, torch.Tensor]:
        first = torch.stack([torch.randn(4) for _ in range(3)])
        return torch.get_rng_state(), first

    def resumed() -> torch.Tensor:
        torch.set_rng_state(state)
        return torch.stack([torch.randn(4) for _ in range(3)])

    state, first = drawn(saved)
    assert not torch.isin(drawn(resumed), first).any()
    assert torch.equal(drawn(resumed), drawn(resumed))


def test_generators_that_a_script_makes_keep_the_meaning_of_their_seed() -> None:
    def draws(extra: bool) -> list[torch.Tensor]:
        first, second = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
        other = torch.Generator().manual_seed(6)
        noise = torch.randn(7, generator=first) if extra else torch.zeros(7)
        kept = torch.rand(4, generator=first)
        equal = torch.randn(7, generator=second) if extra else torch.rand(4, generator=second)
        return [kept, equal, torch.rand(4, generator=other), noise]

    kept, equal, other, _ = drawn(lambda: draws(extra=False))
    with_extra, again, _, noise = drawn(lambda: draws(extra=True))
    assert torch.equal(kept, equal)
    assert not torch.equal(kept, other)
    assert torch.equal(kept, with_extra)
    assert torch.equal(noise, again)


def test_a_generator_in_use_is_not_forgotten_among_many_others() -> None:
    def draws(others: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(5)
        results = []
        for number in range(others):
            torch.rand((), generator=torch.Generator().manual_seed(number + 10))
            if number % 500 == 499:
                results.append(torch.rand(4, generator=generator))
        return results

    first, second = drawn(lambda: draws(2500)), drawn(lambda: draws(500))
    assert len(torch.unique(torch.cat(first))) == 20
    assert torch.equal(first[0], second[0])


def test_what_escapes_is_said() -> None:
    with matched(1) as draws:
        torch.rand(2)
        draws.streams.drawing = 0
        plain_draw(draws)
        torch.rand(2)
        draws.check()
        assert list(draws.report()["escaped"].values()) == [1]
        plain_draw(draws)
        draws.check()
        draws.check()
    assert list(draws.report()["escaped"].values()) == [2]


def plain_draw(draws: NamedDraws) -> None:
    """Draw as native code does that knows torch's generator and none of its operators."""
    import threading

    draws.streams.drawing = threading.get_ident()
    torch.rand(3)
    draws.streams.drawing = 0


def test_outside_of_the_context_torch_is_as_it_was() -> None:
    torch.manual_seed(2)
    expected = torch.randn(3), torch.randn(3)
    torch.manual_seed(2)
    first = torch.randn(3)
    drawn(lambda: torch.randn(5))
    assert torch.equal(first, expected[0])
    assert torch.equal(torch.randn(3), expected[1])
    assert torch.initial_seed() == 2


def test_copies_of_networks_and_nothing_else_are_named_as_before() -> None:
    with matched(1):
        network = Network()
        twin = copy.deepcopy(network)
        initialise_all(twin)
        del network
        initialise_all(twin)
    assert torch.isfinite(next(twin.parameters())).all()


@pytest.mark.slow
def test_compiled_code_draws_named_too() -> None:
    def compiled() -> torch.Tensor:
        network = torch.compile(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)))
        result: torch.Tensor = network(torch.ones(4, 8)).detach()
        return result

    first = drawn(compiled)
    assert torch.equal(first, drawn(compiled, before=lambda: torch.randn(3)))
    assert not torch.equal(first, drawn(compiled, block=9))
