"""What can be known of GPU paths without a GPU: where tensors are, who waits for whom, what is said without a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import pytest
import tiny
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from harness.cli import WRONG_INPUT
from harness.executors.process_state import kept
from harness.metrics.extractors import efficientnet, random_convolutions
from harness.metrics.features import Extractor, RealFeatures, extractor_named
from harness.models import Conditions, build_pair
from harness.preflight.preflight import preflight
from harness.preflight.stage_findings import NO_GPU
from harness.randomness import stream
from harness.study.design import arms
from harness.study.settings import TrialSettings
from harness.terminal import gpu_check
from harness.terminal.gpu_check import CHECKS, CheckError, checked
from harness.trial.device import exact_arithmetic
from harness.trial.image_changes import diff_augment
from harness.trial.trainer import Progress, Trainer
from harness.trial.training import train

GPU = torch.cuda.is_available()


class Waiting(TorchDispatchMode):
    """Counts the numbers that somebody reads of a tensor: on a GPU each of them waits for all work before it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


BUSY: dict[str, Any] = {
    "steps": 6,
    "loss": {"r1": 1.0, "smoothing": 0.1},
    "gradient_clip": 1.0,
    "instance_noise": {"sigma": 0.1},
    "diff_augment": "all",
    "adaptive_augment": {"policy": "all", "every": 2, "images": 16},
    "ema": 0.9,
}


@pytest.mark.parametrize(
    "settings",
    [
        factory.settings(discriminator={"norm": "layer", "spectral_norm": "convs", "minibatch_std": 2}, training=BUSY),
        factory.dcgan(discriminator={"norm": "layer"}, training={**BUSY, "precision": "bfloat16"}),
        factory.dcgan(discriminator={"norm": "layer"}, training={"steps": 6, "loss": {"kind": "wgan_gp"}}),
    ],
    ids=["zi2zi", "dcgan", "wgan_gp"],
)
def test_nobody_waits_for_the_device_but_on_logged_steps(settings: TrialSettings) -> None:
    paired = settings.generator.kind == "unet"
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    steps = train(Trainer(pair, settings, factory.split(paired=paired), block="0"), log_every=4)
    waited = []
    for _ in range(5):
        with Waiting() as waiting:
            next(steps)
        waited.append(waiting.count)
    assert waited[3] > 0
    assert [waited[i] for i in (0, 1, 2, 4)] == [0] * 4


def test_a_trial_that_reads_its_losses_late_has_the_rows_of_one_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = factory.study(
        training={"steps": 12, "batch_size": 4},
        measure={"at": ["100%"], "primary": "l1", "margin": "10%", "signals": 2},
    )
    task = tiny.tasks(study, tmp_path)[0]
    _, waiting = tiny.computed(task, tmp_path)
    monkeypatch.setattr(Trainer, "asynchronous", property(lambda _: True, lambda *_: None), raising=False)
    _, late = tiny.computed(task, tmp_path)
    assert tiny.same(waiting, late)
    assert late.trial["seconds_per_step"] > 0


def test_a_loss_beyond_the_limit_is_found_at_its_own_step_however_late_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = factory.study(
        training={"steps": 12, "batch_size": 4},
        measure={"at": ["100%"], "primary": "l1", "margin": "10%", "signals": 2},
    )
    task = tiny.tasks(study, tmp_path)[0]
    done = Trainer.done

    def diverging(self: Trainer, **given: Any) -> Progress:
        given["loss_g"] = torch.tensor(float("nan") if self.step >= 4 else 1.0)
        return done(self, **given)

    monkeypatch.setattr(Trainer, "done", diverging)
    monkeypatch.setattr(Trainer, "asynchronous", property(lambda _: True, lambda *_: None), raising=False)
    _, rows = tiny.computed(task, tmp_path)
    assert (rows.trial["status"], rows.trial["failed_at_step"]) == ("diverged", 5)


def on_the_gpu(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return what a network has registered, as if it were on a GPU."""
    named = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {name: torch.empty_like(tensor, device="cuda") for name, tensor in named.items()}


@pytest.mark.parametrize("base", [factory.settings, factory.dcgan])
def test_a_forward_pass_leaves_no_tensor_on_the_cpu(base: Any) -> None:
    settings = base(discriminator={"minibatch_std": 2, "spectral_norm": "convs", "blur": {"position": "input"}})
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    size = (4, 1, factory.SIZE, factory.SIZE)
    with FakeTensorMode(allow_non_fake_inputs=True):
        latent = torch.zeros(4, settings.latent, device="cuda") if settings.latent else None
        source = None if settings.latent else torch.zeros(size, device="cuda")
        conditions = Conditions(source, torch.zeros(4, dtype=torch.int64, device="cuda"), latent)
        image = functional_call(pair.generator, on_the_gpu(pair.generator), (conditions,)).image
        judged = functional_call(pair.discriminator, on_the_gpu(pair.discriminator), (image, conditions))
        moved, _ = diff_augment(image, source, "all", lambda name: stream("0", name), torch.zeros((), device="cuda"))
    assert image.device.type == judged.real.device.type == moved.device.type == "cuda"


def test_a_tensor_that_stays_on_the_cpu_is_caught_by_such_a_pass() -> None:
    class Astray(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.ones(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale

    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"),
    ):
        Astray()(torch.zeros(4, 3, device="cuda"))


def test_features_are_computed_where_the_images_are_and_keep_their_identity() -> None:
    network = efficientnet.network()
    random_convolutions.kernels()  # kept for the process: made inside, they would be fake for every test that follows
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = torch.zeros(4, 1, 64, 64, device="cuda")
        pooled = functional_call(network, on_the_gpu(network), (there.expand(-1, 3, -1, -1),))
        assert pooled.device.type == random_convolutions.features(there).device.type == "cuda"
    assert {
        name for name in ("efficientnet", "random", "efficientnet_print") if not extractor_named(name).follows
    } == set()
    images, places = torch.rand(3, 1, 16, 16), list[str]()

    def features(batch: torch.Tensor) -> torch.Tensor:
        places.append(batch.device.type)
        return torch.zeros(len(batch), 2)

    found = []
    for follows, where in ((True, "meta"), (False, "meta"), (True, "cpu")):
        extractor = Extractor(name="x", feature_id="x:1", function=features, follows=follows)
        found.append(RealFeatures.of(extractor, images, images_id="", folder=None, device=torch.device(where)))
    assert places == ["meta", "cpu", "cpu"]
    assert {each.feature_id for each in found} == {"x:1"}


@pytest.mark.skipif(GPU, reason="this machine has a GPU")
def test_the_pace_of_trials_on_a_gpu_that_is_not_here_is_unknown_and_nothing_is_too_costly(tmp_path: Path) -> None:
    study = factory.study(runner={"gpus": 1}, budget={"hours": 1e-9})
    said: list[Any] = []
    plan = preflight(study, arms(study), cache=tmp_path, announce=said.append)
    assert plan.estimated_seconds is None
    assert all(arm.proof is None and arm.seconds_per_step is None for arm in plan.arms)
    assert any(NO_GPU in (getattr(stage, "found", None) or "") for stage in said)


def test_the_arithmetic_of_a_gpu_is_exact_and_what_is_put_back_afterwards_says_so() -> None:
    with kept() as changed:
        exact_arithmetic()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.are_deterministic_algorithms_enabled()
    assert "torch's deterministic algorithms" in changed
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_every_check_of_the_self_test_passes_where_two_devices_are_one() -> None:
    with kept():
        checks = list(checked("cpu"))
    assert [check.name for check in checks] == list(CHECKS)
    assert all(check.passed for check in checks), checks


def test_a_check_that_fails_says_so_and_keeps_no_other_from_being_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> str:
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(gpu_check, "CHECKS", {"one": broken, "two": lambda _: "fine"})
    with kept():
        one, two = checked("cpu")
    assert (one.passed, one.found) == (False, "RuntimeError: CUDA error: an illegal memory access")
    assert two.passed
    with pytest.raises(CheckError, match=r"differ from the CPU's by 0\.5 of the largest at most; 0\.1 is allowed"):
        gpu_check._within(0.5, 0.1, "images")


@pytest.mark.skipif(GPU, reason="this machine has a GPU")
def test_doctor_says_that_there_is_no_gpu_with_what_a_report_needs() -> None:
    done = tiny.call("doctor", "--gpu")
    assert done.returncode == WRONG_INPUT
    assert "doctor --gpu: torch sees no GPU here" in done.stderr
    for name in ("torch: ", "packages: ", "CUDA_VISIBLE_DEVICES: ", "arithmetic: float32 in full"):
        assert name in done.stdout
    assert "GPU 0" not in done.stdout
