# ruff: noqa: NPY002, PLW0108 - what people's scripts call is what is tested
from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.named_draws.activation import matched


def drawn(draw: Callable[[], Any], block: int = 3, before: Callable[[], Any] = int) -> Any:
    with matched(block):
        before()
        return draw()


def others() -> None:
    random.gauss(0, 1)
    random.shuffle(list(range(5)))
    np.random.randn(3)
    random.seed(9)
    np.random.seed(9)


def shuffled() -> list[int]:
    numbers = list(range(60))
    random.shuffle(numbers)
    return numbers


def permuted() -> Any:
    numbers = np.arange(60)
    np.random.shuffle(numbers)
    return numbers


DRAWS: dict[str, Callable[[], Any]] = {
    "random": lambda: random.random(),
    "getrandbits": lambda: random.getrandbits(700),
    "randint": lambda: random.randint(0, 1 << 70),
    "uniform": lambda: random.uniform(-1, 1),
    "gauss": lambda: [random.gauss(0, 1), random.gauss(0, 1)],
    "shuffle": shuffled,
    "sample": lambda: random.sample(range(1000), 9),
    "choices": lambda: random.choices(range(1000), k=9),
    "randbytes": lambda: random.randbytes(9),
    "own random": lambda: random.Random(5).random(),
    "own random, unseeded": lambda: random.Random().random(),
    "own random, of text": lambda: random.Random("item 5").random(),
    "rand": lambda: np.random.rand(3),
    "randn": lambda: np.random.randn(),
    "np randint": lambda: np.random.randint(0, 1 << 60),
    "normal": lambda: np.random.normal(0, 1, (2, 3)),
    "choice": lambda: np.random.choice(1000, 9),
    "permutation": lambda: np.random.permutation(60),
    "np shuffle": permuted,
    "np sample": lambda: np.random.sample(3),
    "state": lambda: np.random.RandomState(4).rand(3),
    "state, unseeded": lambda: np.random.RandomState().rand(3),
    "default_rng": lambda: np.random.default_rng(4).random(3),
    "default_rng, unseeded": lambda: np.random.default_rng().standard_normal(3),
    "default_rng, of a list": lambda: np.random.default_rng([4, 5]).integers(1 << 60),
    "default_rng, spawned": lambda: np.random.default_rng(4).spawn(2)[1].random(),
    "generator": lambda: np.random.Generator(np.random.MT19937(4)).permuted(np.arange(60)),
}


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a, dtype=object), np.asarray(b, dtype=object)))


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_depends_on_its_block_and_not_on_what_was_drawn_before(name: str) -> None:
    draw = DRAWS[name]
    first = drawn(draw)
    assert same(first, drawn(draw))
    assert same(first, drawn(draw, before=others))
    assert not same(first, drawn(draw, block=4))


@pytest.mark.parametrize(
    "draw", [lambda: [random.seed(), random.random()], lambda: [np.random.seed(), np.random.rand()]]
)
def test_a_seed_of_the_clock_is_one_of_the_block(draw: Callable[[], Any]) -> None:
    assert drawn(draw) == drawn(draw) != drawn(draw, block=4)


def test_functions_that_are_imported_within_are_plain_ones_afterwards() -> None:
    with matched(1):
        bound = np.random.rand
    np.random.seed(5)
    first = np.random.rand()
    np.random.seed(5)
    assert bound() == first
    assert bound() != first


def sample(draw: Callable[[], float], times: int = 3000) -> list[float]:
    with matched(0):
        return [draw() for _ in range(times)]


CONTINUOUS: dict[str, tuple[Callable[[], float], Any]] = {
    "random": (lambda: random.random(), stats.uniform()),
    "gauss": (lambda: random.gauss(1, 2), stats.norm(1, 2)),
    "betavariate": (lambda: random.betavariate(2, 3), stats.beta(2, 3)),
    "rand": (lambda: np.random.rand(), stats.uniform()),
    "randn": (lambda: np.random.randn(), stats.norm()),
    "gamma": (lambda: np.random.gamma(2.0), stats.gamma(2.0)),
    "default_rng": (lambda rng=[]: _of(rng).normal(), stats.norm()),  # type: ignore[misc]
}


def _of(rng: list[Any]) -> Any:
    if not rng:
        rng.append(np.random.default_rng(1))
    return rng[0]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_named_draws_are_distributed_as_the_functions_that_they_replace(name: str) -> None:
    draw, distribution = CONTINUOUS[name]
    values = np.asarray(sample(draw))
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.08
    assert len(np.unique(values)) == len(values)


def test_whole_numbers_and_orders_are_uniform() -> None:
    for draw in (lambda: random.randrange(10), lambda: np.random.randint(10), lambda: random.choice(range(10))):
        assert stats.chisquare(np.bincount(np.asarray(sample(draw), dtype=int), minlength=10)).pvalue > 1e-4
    orders = sample(lambda: float("".join(map(str, random.sample("123", 3)))), 1200)
    assert stats.chisquare(np.unique(orders, return_counts=True)[1]).pvalue > 1e-4


def test_a_seed_within_the_program_keeps_its_meaning() -> None:
    def draws() -> list[Any]:
        random.seed(1)
        np.random.seed(1)
        results = []
        for seed in (4, 5, 4):
            random.seed(seed)
            np.random.seed(seed)
            results.append((random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()))
        return results

    first, other, again = drawn(draws)
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def flipped() -> bool:
    return random.random() < 0.5


def test_one_seed_for_an_image_and_its_mask_flips_both_alike() -> None:
    def flips() -> list[bool]:
        pairs = []
        for _ in range(30):
            seed = random.randint(0, 1 << 31)
            random.seed(seed)
            image = flipped()
            random.seed(seed)
            mask = [flipped()][0]
            pairs.append(image == mask)
        return pairs

    assert all(drawn(flips))


def test_saved_states_are_gone_back_to() -> None:
    def draws() -> list[Any]:
        states = random.getstate(), np.random.get_state()
        first = random.random(), np.random.rand()
        random.setstate(states[0])
        np.random.set_state(states[1])
        return [first, (random.random(), np.random.rand())]

    first, again = drawn(draws)
    assert first == again


def test_a_generator_goes_on_in_its_copies() -> None:
    def draws() -> list[Any]:
        results = []
        for generator in (np.random.default_rng(3), np.random.RandomState(3), random.Random(3)):
            generator.random()
            twins = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
            results.append([generator.random(), *(twin.random() for twin in twins)])
        return results

    for first, *others in drawn(draws):
        assert set(others) == {first}


def test_a_generators_own_state_can_be_saved_and_set() -> None:
    def draws() -> list[float]:
        rng = np.random.default_rng(3)
        rng.random()
        state = rng.bit_generator.state
        first = rng.random()
        rng.bit_generator.state = state
        return [first, rng.random()]

    first, again = drawn(draws)
    assert first == again


def test_generators_are_still_of_the_classes_that_libraries_ask_for() -> None:
    with matched(1):
        assert isinstance(np.random.default_rng(1), np.random.Generator)
        assert isinstance(np.random.mtrand._rand, np.random.RandomState)
        assert isinstance(random.Random(1), random.Random)
    assert type(random._inst) is random.Random  # type: ignore[attr-defined]


def test_outside_of_the_context_all_is_as_it_was() -> None:
    random.seed(2)
    np.random.seed(2)
    expected = random.random(), np.random.rand(), random.random(), np.random.rand()
    random.seed(2)
    np.random.seed(2)
    first = random.random(), np.random.rand()
    drawn(others)
    assert (*first, random.random(), np.random.rand()) == expected


def test_functions_that_were_bound_before_are_said_to_escape() -> None:
    bound = random.random, np.random.rand, stats.norm.rvs
    with matched(1) as draws:
        random.random()
        np.random.rand()
        draws.check()
        assert draws.report()["escaped"] == {}
        for function in bound:
            function()
    assert [where.split(",")[0] for where in draws.report()["escaped"]] == ["random", "numpy"]


def test_draws_are_named_once() -> None:
    with matched(1), pytest.raises(HarnessError, match="named already"):
        with matched(2):
            raise AssertionError
