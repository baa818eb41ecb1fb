from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import augment, load
from harness.data.augmentation import _blur
from harness.data.characters import base_letters
from harness.data.split import groups_of, hold_out
from harness.errors import DataError
from harness.study.data_settings import GlyphSettings

shares = st.floats(0.01, 0.99)
items = st.lists(
    st.tuples(st.text("abcdef", min_size=1, max_size=4), st.sets(st.integers(0, 12), max_size=2)), max_size=60
)


def sizes(keys, links):
    return np.bincount(groups_of([[*own, ("key", key)] for key, own in zip(keys, links, strict=True)]))


@given(found=items, share=shares)
def test_linked_items_are_on_one_side_and_the_share_is_met_within_half_a_group(found, share):
    keys, links = [key for key, _ in found], [link for _, link in found]
    if not found or len(sizes(keys, links)) < 2:
        with pytest.raises(DataError):
            hold_out("x", keys, links, share)
        return
    held = hold_out("x", keys, links, share)
    assert 0 < held.sum() < len(found)
    for a in range(len(found)):
        for b in range(a):
            if keys[a] == keys[b] or links[a] & links[b]:
                assert held[a] == held[b]
    groups = sizes(keys, links)
    at_least_one_group_a_side = groups.min() in (held.sum(), (~held).sum())
    assert abs(held.sum() - share * len(found)) <= groups.max() / 2 or at_least_one_group_a_side


@given(found=items, share=shares, seed=st.integers())
def test_the_split_knows_no_order_and_no_global_stream(found, share, seed):
    keys, links = [key for key, _ in found], [link for _, link in found]
    if not found or len(sizes(keys, links)) < 2:
        return
    first = hold_out("x", keys, links, share)
    order = list(range(len(found)))
    random.Random(seed).shuffle(order)
    random.seed(seed)
    again = hold_out("x", [keys[i] for i in order], [links[i] for i in order], share)
    sides = [sorted(keys[i] for i in range(len(found)) if first[i])]
    sides.append(sorted(keys[i] for place, i in enumerate(order) if again[place]))
    assert sides[0] == sides[1]


def test_groups_join_transitively_and_only_through_links():
    assert groups_of([[1], [1, 2], [2], [3], [], []]).tolist() == [0, 0, 0, 1, 2, 3]


letters = st.characters(categories=("Lu", "Ll", "Lt", "Lo", "Nd"))


@given(letters)
def test_base_letters_are_their_own_base(character):
    for letter in base_letters(character):
        assert base_letters(letter) == {letter}


@given(letters)
def test_canonically_equal_texts_have_equal_bases(character):
    composed = unicodedata.normalize("NFC", character)
    if len(composed) == 1:
        assert base_letters(composed) == base_letters(character)


@pytest.mark.parametrize(
    ("character", "base"),
    [("\u212b", "A"), ("Å", "A"), ("ǭ", "o"), ("Ø", "O"), ("ł", "l"), ("ı", "i"), ("ᾧ", "ω"), ("Ё", "Е"), ("が", "か"),
     ("Ａ", "A"), ("𝔸", "A"), ("ﬁ", "fi"), ("한", "한"), ("字", "字"), ("²", "2"), ("!", "!"), ("ß", "ß"),
     ("a", "a"), ("A", "A")],
)  # fmt: skip
def test_forms_lead_to_their_letters(character, base):
    assert base_letters(character) == set(base)


TARGETS = ("DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Italic")


@pytest.fixture(scope="module")
def shared():
    return load(GlyphSettings(targets=TARGETS, image_size=32))


def test_no_form_of_a_held_out_letter_is_trained_on(shared):
    trained, held = ({b for c in split.labels for b in base_letters(c)} for split in (shared.train, shared.heldout))
    assert not trained & held


def test_no_image_of_a_held_out_letter_is_trained_on_in_any_font(shared):
    for style in range(len(TARGETS)):
        trained, held = (
            {image.numpy().tobytes() for image in split.target[split.style == style]}
            for split in (shared.train, shared.heldout)
        )
        assert not trained & held
    trained, held = ({i.numpy().tobytes() for i in split.source} for split in (shared.train, shared.heldout))
    assert not trained & held


@pytest.mark.parametrize("twins", ["AАΑ", "oоο", "HНΗ", "sѕ", "Kк"])
def test_homoglyphs_are_together_and_cases_are_not(shared, twins):
    sides = [twin in shared.heldout.labels for twin in twins if twin in shared.train.labels + shared.heldout.labels]
    assert len(sides) >= 2
    if twins != "Kк":
        assert len(set(sides)) == 1


def test_the_splits_hold_every_character_in_every_style_once(shared):
    for split in (shared.train, shared.heldout):
        pairs = list(zip(split.labels, split.style.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs) == len(set(split.labels)) * len(TARGETS)
    assert abs(len(shared.heldout) / (len(shared.train) + len(shared.heldout)) - 0.2) < 0.01


def test_source_and_target_of_a_pair_show_the_same_character():
    fonts = ("DejaVuSans", "DejaVuSerif")
    there, back = (
        load(GlyphSettings(source=source, targets=(target,), characters="greek", image_size=16))
        for source, target in (fonts, fonts[::-1])
    )
    for one, other in ((there.train, back.train), (there.heldout, back.heldout)):
        assert one.labels == other.labels
        assert torch.equal(one.source, other.target)
        assert torch.equal(one.target, other.source)


@settings(max_examples=8)
@given(order=st.permutations(list("ABCDEFabcdef")))
def test_the_order_in_which_characters_are_given_is_nothing(order):
    assert (
        load(GlyphSettings(characters="".join(order), image_size=8)).hash
        == load(GlyphSettings(characters="ABCDEFabcdef", image_size=8)).hash
    )


def batch(count, size, channels=1, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, channels, size, size, generator=draw) * 2 - 1


modes = st.sampled_from(["none", "zi2zi", "flip"])


@given(
    mode=modes,
    size=st.sampled_from([8, 32, 64]),
    channels=st.sampled_from([1, 3]),
    count=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_augmented_pairs_keep_shape_and_range_and_draw_from_their_stream_alone(mode, size, channels, count, seed):
    source, target = batch(count, size, channels)
    before = torch.get_rng_state()
    first = augment(source, target, mode=mode, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed + 1)
    second = augment(source, target, mode=mode, generator=torch.Generator().manual_seed(seed))
    torch.set_rng_state(before)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
        assert a.shape == target.shape
        assert a.abs().max() <= 1 + 1e-6


@given(mode=modes, seed=st.integers(0, 99))
def test_source_and_target_are_changed_alike(mode, seed):
    _, target = batch(6, 16)
    source, changed = augment(target, target.clone(), mode=mode, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(source, changed)


@given(mode=modes, seed=st.integers(0, 99))
def test_the_global_stream_stands_still(mode, seed):
    before = torch.get_rng_state()
    augment(*batch(4, 16), mode=mode, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(torch.get_rng_state(), before)


@given(mode=modes, seed=st.integers(0, 99))
def test_the_number_of_draws_depends_on_the_number_of_images_alone(mode, seed):
    states = []
    for size in (8, 32):
        generator = torch.Generator().manual_seed(seed)
        augment(*batch(5, size, seed=size), mode=mode, generator=generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


@given(mode=modes, value=st.sampled_from([-1.0, 0.25, 1.0]))
def test_an_even_image_stays_as_it_is(mode, value):
    even = torch.full((8, 1, 32, 32), value)
    for image in augment(even, even, mode=mode, generator=torch.Generator().manual_seed(1)):
        assert torch.allclose(image, even, atol=1e-5)


def test_flip_mirrors_about_half_and_touches_no_others():
    _, target = batch(400, 8)
    none, flipped = augment(None, target, mode="flip", generator=torch.Generator().manual_seed(0))
    assert none is None
    mirrored = (flipped == target.flip(3)).flatten(1).all(1)
    same = (flipped == target).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def test_the_enlargement_is_between_none_and_a_twentieth_and_its_window_stays_inside():
    size = 64
    ramp = torch.linspace(-0.9, 0.9, size).expand(300, 1, size, size).contiguous()
    _, changed = augment(None, ramp, mode="zi2zi", generator=torch.Generator().manual_seed(0))
    slope = (changed[:, 0, 32, 58] - changed[:, 0, 32, 5]) / (ramp[:, 0, 32, 58] - ramp[:, 0, 32, 5])
    scale = 1 / slope
    assert scale.min() >= 0.999
    assert scale.max() <= 1.053
    assert abs(scale.mean() - 1.025) < 0.003
    middle = (changed[:, 0, 32, 31] + changed[:, 0, 32, 32]) / 2
    assert (middle.abs() <= 0.9 * (1 - 1 / 1.05) + 0.005).all()
    assert middle.std() > 0.005


def test_one_in_five_is_blurred_with_the_three_radii_of_zi2zi():
    size, count = 128, 500
    point = torch.full((count, 1, size, size), 0.0)
    point[:, 0, 64, 64] = 1.0
    blurred = _blur(point, torch.Generator().manual_seed(0))
    place = torch.arange(size) - 64.0
    spread = (blurred.sum(2)[:, 0] * place**2).sum(1)
    chosen = spread > 1e-6
    assert abs(chosen.float().mean() - 0.2) < 0.06
    assert torch.allclose(blurred.sum((1, 2, 3)), torch.ones(count), atol=1e-5)
    radii = spread[chosen].sqrt() * 256 / size
    nearest = torch.tensor([1.0, 1.5, 2.0])[(radii[:, None] - torch.tensor([1.0, 1.5, 2.0])).abs().argmin(1)]
    assert set(nearest.tolist()) == {1.0, 1.5, 2.0}
    assert (radii - nearest).abs().max() < 0.12
