from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, get_worker_info

from harness.named_draws.activation import matched
from harness.named_draws.pytest_plugin import Matcher, matched_pair

__all__ = ["matched_pair"]
ROOT = Path(__file__).parents[2]


class Items(Dataset[torch.Tensor]):
    """Ten items; some of them draw more than others, which ones the arm decides."""

    def __init__(self, more: int = -1, seeded: int | None = None) -> None:
        self.more, self.seeded = more, seeded

    def __len__(self) -> int:
        return 10

    def __getitem__(self, item: int) -> torch.Tensor:
        if self.seeded is not None:
            random.seed(self.seeded)
        if item == self.more:
            random.random()
        values = [random.random() for _ in range(3 if item == self.more else 2)][-1]
        return torch.tensor([item, values, np.random.rand(), torch.rand(()).item()])  # noqa: NPY002


def epochs(dataset: Dataset[Any], count: int = 2, **options: Any) -> list[list[torch.Tensor]]:
    loader = DataLoader(dataset, batch_size=4, shuffle=not isinstance(dataset, IterableDataset), **options)
    return [list(loader) for _ in range(count)]


def rows(batches: list[list[torch.Tensor]]) -> torch.Tensor:
    return torch.cat([batch for epoch in batches for batch in epoch])


WORKERS: list[dict[str, Any]] = [
    {},
    {"num_workers": 1},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
]


def loaded(block: int = 2, **options: Any) -> torch.Tensor:
    with matched(block):
        return rows(epochs(Items(), **options))


def test_items_are_drawn_alike_by_any_number_of_workers() -> None:
    expected = loaded()
    for options in WORKERS[1:3]:
        assert torch.equal(loaded(**options), expected)
    assert not torch.equal(loaded(block=3), expected)


def test_no_two_items_and_no_two_epochs_draw_the_same() -> None:
    for options in (WORKERS[0], WORKERS[3]):
        values = loaded(**options)[:, 1:]
        assert len(torch.unique(values)) == values.numel() == 60


def test_an_item_that_draws_more_moves_no_other_item() -> None:
    with matched(2):
        changed = rows(epochs(Items(more=4)))
    expected = loaded()
    others = expected[:, 0] != 4
    assert torch.equal(expected[others], changed[others])
    assert torch.equal(expected[:, 0], changed[:, 0])


def test_a_seed_in_an_item_means_equal_draws_as_without_names() -> None:
    with matched(2):
        values = rows(epochs(Items(seeded=3)))[:, 1]
    assert len(torch.unique(values)) == 1


def test_training_draws_are_as_they_were_whatever_items_draw() -> None:
    def after_loading(dataset: Dataset[Any]) -> tuple[float, ...]:
        with matched(2):
            random.seed(1)
            epochs(dataset)
            return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    assert after_loading(Items()) == after_loading(Items(more=3)) == after_loading(Items(seeded=3))


def test_subsets_and_whole_batches_are_loaded_as_before() -> None:
    numbers = TensorDataset(torch.arange(10.0))
    with matched(2):
        ((subset,),) = epochs(Subset(numbers, [1, 2]), count=1)
        tensors = epochs(numbers, count=1)
    assert sorted(subset[0].tolist()) == [1, 2]
    assert sorted(number for batch in tensors[0] for number in batch[0].tolist()) == list(range(10))


class Streamed(IterableDataset[float]):
    def __iter__(self) -> Any:
        info = get_worker_info()
        for _ in range(0 if info is None else info.id, 8, 1 if info is None else info.num_workers):
            yield random.random()


def test_streams_of_workers_differ_and_come_again() -> None:
    def stream() -> torch.Tensor:
        with matched(2):
            return rows(epochs(Streamed(), num_workers=2))

    first = stream()
    assert torch.equal(first, stream())
    assert len(torch.unique(first)) == 16


def test_ranks_draw_alike_where_their_seeds_are_equal_and_apart_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def draws(rank: int, seed: int | None) -> float:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        with matched(2):
            if seed is not None:
                torch.manual_seed(seed)
            return torch.rand(()).item()

    assert draws(0, seed=1) == draws(1, seed=1)
    assert draws(0, seed=1) != draws(1, seed=2)
    assert draws(0, seed=None) != draws(1, seed=None)
    assert draws(1, seed=None) == draws(1, seed=None)


def train(*, unused: bool = False, spectral: bool = False, extra_draw: bool = False) -> float:
    if extra_draw:
        torch.randn(3)
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    if spectral:
        nn.utils.parametrizations.spectral_norm(network[0])
    if unused:
        nn.Linear(4, 4)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for batch in DataLoader(Items(), batch_size=5, shuffle=True):
        optimizer.zero_grad()
        loss = network(batch).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_a_change_that_leaves_everything_else_alone_passes(matched_pair: Matcher) -> None:
    pair = matched_pair(train, lambda: train(unused=True, spectral=True, extra_draw=True))
    pair.assert_else_alone()
    assert pair.comparison.weights.share == 1
    assert pair.before != pair.after


def test_a_change_that_moves_something_fails_with_the_place(matched_pair: Matcher) -> None:
    def trained(size: int) -> None:
        train()
        torch.randn(size)

    pair = matched_pair(lambda: trained(5), lambda: trained(4))
    with pytest.raises(AssertionError, match=r"torch.normal\[5\].*trained") as failure:
        pair.assert_else_alone()
    assert "weights  100.0% equal" in str(failure.value)


def test_the_plug_in_is_where_pytest_looks_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = project["project"]["entry-points"]["pytest11"].values()
    assert module == Matcher.__module__
