"""Study files made to exhaust the machine: each is one short message, within a second of the processor's time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.study.design import arms
from harness.study.reading import read_study

HEAD = "study: x\ndata: {kind: glyphs}\n"
AXES = f"{HEAD}axes: {{discriminator.spectral_norm: [none, convs]}}\n"


def aliases(levels: int) -> str:
    each = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels + 1))
    return "\n".join(("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]", *each, ""))


def merges(levels: int) -> str:
    each = (f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels + 1))
    return "\n".join(("a0: &a0 {k: 1}", *each, ""))


TEN_BY_TEN = "\n".join(f"  discriminator.options.o{axis}: {list(range(10))}" for axis in range(10))
TWENTY = "\n".join(f"  discriminator.options.o{axis}: [0, 1]" for axis in range(20))
OWN = "study: x\ndata: {kind: glyphs}\ndiscriminator: {kind: 'my.module:function'}\naxes:\n"

TOO_MUCH = {
    "aliases of aliases": (HEAD + aliases(9), "5000 values"),
    "merges of merges": (HEAD + merges(9), "5000 values"),
    "an alias inside of what it names": (HEAD + "axes: &a {discriminator.norm: [batch, *a]}\n", "contains itself"),
    "a list that contains itself": (HEAD + "axes: &a [*a]\n", "contains itself"),
    "3,000 lists in each other": (HEAD + "axes: " + "[" * 3000 + "]" * 3000 + "\n", "more than 32 deep"),
    "300 mappings in each other": (HEAD + "".join(" " * n + "k:\n" for n in range(300)), "more than 32 deep"),
    "60,000 unknown keys": (HEAD + "".join(f"key{n}: 1\n" for n in range(60_000)), "262144 bytes"),
    "20,000 unknown keys": (HEAD + "".join(f"k{n}: 1\n" for n in range(20_000)), "5000 values"),
    "2,400 unknown keys": (HEAD + "".join(f"key{n}: 1\n" for n in range(2400)), "and 2380 more"),
    "an unknown key of 100,000 letters": (HEAD + f"? {'k' * 100_000}\n: 1\n", "no such setting"),
    "a value of 100,000 letters": (HEAD + f"training: {{steps: {'9x' * 50_000}}}\n", "expected a whole number"),
    "a number of 100,000 digits": (HEAD + f"training: {{steps: {'9' * 100_000}}}\n", "not YAML"),
    "text that is said to be a number": (HEAD + "question: !!int x\n", "not YAML"),
    "nothing that is said to be a number": (HEAD + "question: !!int ''\n", "not YAML"),
    "what JSON cannot say": (HEAD + "question: !!binary aGFsbG8=\n", "not YAML"),
    "a key that is a list": (HEAD + "? [a, b]\n: 1\n", "line 3"),
    "a key that is a number": (HEAD + "7: 1\n", 'line 3: 7: a name must be text; write "7"'),
    "a character that YAML has not": (HEAD + "question: \x00\n", "not YAML"),
    "5 megabytes": (HEAD + "# " + "x" * 5_000_000, "262144 bytes"),
    "a billion blocks": (AXES + "design: {blocks: 1000000000}\n", "2000000000 trials"),
    "a billion blocks at a look": (AXES + "design: {blocks: {looks: [6, 1000000000]}}\n", "2000000000 trials"),
    "ten billion arms": (OWN + TEN_BY_TEN + "\ndesign: {kind: factorial}\n", "10000000000 arms"),
    "a fraction with a million arms": (OWN + TWENTY + "\ndesign: {kind: fractional, halvings: 1}\n", "524288 arms"),
    "a fraction of a million candidates": (OWN + TWENTY + "\ndesign: {kind: fractional, halvings: 13}\n", "candidates"),
    "a study's name of 1,000 letters": ("study: " + "x" * 1000 + "\ndata: {kind: glyphs}\n", "study"),
    "an endless learning rate": (HEAD + "training: {optimizer: {lr: .inf}}\n", "training.optimizer.lr"),
}


def spent(path: Path, *overrides: str) -> tuple[str, float]:
    start = time.thread_time()
    with pytest.raises(HarnessError) as caught:
        arms(read_study(path, overrides))
    return str(caught.value), time.thread_time() - start


@pytest.mark.parametrize("name", TOO_MUCH)
@pytest.mark.timeout(60)
def test_a_file_that_asks_too_much_is_one_short_message_at_once(name: str, tmp_path: Path) -> None:
    text, message = TOO_MUCH[name]
    path = tmp_path / "study.yaml"
    path.write_text(text)
    said, seconds = spent(path)
    assert message in said
    assert len(said) < 10_000
    assert seconds < 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"training.steps={'[' * 3000}{']' * 3000}", "more than 32 deep"),
        (f"{'a.' * 5000}b=1", "more than 32 deep"),
        ("training.steps=&a [*a]", "contains itself"),
        (f"training.steps=[{'1, ' * 20_000}1]", "5000 values"),
        ("training.steps=!!float x", "not a YAML value"),
        (f"training.steps={'9' * 100_000}", "not a YAML value"),
    ],
)
def test_a_setting_of_the_command_line_is_bounded_alike(override: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(AXES)
    said, seconds = spent(path, override)
    assert message in said
    assert len(said) < 1000
    assert seconds < 1


def test_aliases_within_reason_are_read_as_what_they_name(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(AXES + "training: &t {steps: 20, optimizer: {betas: &b [0.5, 0.9]}}\nbaseline: {}\n")
    assert read_study(path).training.optimizer.betas == (0.5, 0.9)
