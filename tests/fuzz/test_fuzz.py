"""Input that nobody vouches for, changed at random: an answer or one clear error, within a bound of time.

`HARNESS_FUZZ` is the number of inputs of each kind (`nox -s fuzz` sets 2,000, 10,000 in all).
"""

from __future__ import annotations

import atexit
import copy
import functools
import io
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from pretended import fill, study

from harness.errors import HarnessError
from harness.image_files import decode
from harness.metrics.feature_files import read_features
from harness.study.design import arms
from harness.study.reading import read_study
from harness.tables import compare

INPUTS = int(os.environ.get("HARNESS_FUZZ", "40"))
SECONDS = 5.0
fuzzed = settings(max_examples=INPUTS, deadline=None, suppress_health_check=list(HealthCheck))
OTHERS_WORDS = re.compile(r"Traceback|Input should|valid (?:dictionary|list|tuple)|pydantic|validation error")


def answered(ask: Callable[[], object]) -> None:
    """Ask, and require an answer or one bounded message of ours, in time."""
    start = time.thread_time()
    said = ""
    try:
        ask()
    except HarnessError as error:
        said = str(error)
    assert time.thread_time() - start < SECONDS
    assert len(said) < 20_000
    assert not OTHERS_WORDS.search(said)


STUDY: dict[str, Any] = {
    "study": "x",
    "data": {"kind": "glyphs", "targets": ["DejaVuSerif"], "image_size": 32},
    "generator": {"kind": "unet", "channels": 8},
    "discriminator": {"kind": "zi2zi", "blur": {"position": "none"}},
    "training": {"steps": 20, "optimizer": {"lr": 2e-4, "betas": [0.5, 0.999]}},
    "axes": {"discriminator.spectral_norm": ["none", "convs"], "training.batch_size": [8, 16]},
    "baseline": {"training.batch_size": 8},
    "design": {"kind": "one_factor", "blocks": {"looks": [6, 9]}},
    "controls": {"positive": {"training.loss.adversarial": 0}, "negative": ["a/a"]},
    "measure": {"at": ["50%", 20], "primary": "ssim", "margin": 0.02, "also": ["l1"]},
    "claims": [{"id": "1", "quote": "q", "arm": "a", "expect": "helps"}],
    "runner": {"retries": 1},
}
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["none", "unet", "dcgan", "faces", "my.module:function", "10%", "1e-4", "", "inf", "../x", "\x1b[2J"]
    ),
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where the parts of plain data are."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place, *(found for key, value in inner for found in places(value, (*place, key)))]


@st.composite
def changed_studies(draw: st.DrawFn) -> Any:
    """A sound study of which some parts are replaced, removed or added to."""
    study: Any = copy.deepcopy(STUDY)
    for _ in range(draw(st.integers(1, 3))):
        *group, key = draw(st.sampled_from([place for place in places(study) if place]))
        inside = functools.reduce(lambda node, part: node[part], group, study)
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                inside[key] = draw(values)
            case "remove":
                del inside[key]
            case "add" if isinstance(inside, dict):
                inside[draw(st.text(max_size=8))] = draw(values)
    return study


def read(text: str) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.yaml")
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        return arms(read_study(file))


@fuzzed
@given(changed_studies())
def test_a_study_with_parts_of_another_kind_is_read_or_refused(study: Any) -> None:
    answered(lambda: read(yaml.safe_dump(study, allow_unicode=True)))


@fuzzed
@given(st.data())
def test_a_study_file_with_other_characters_is_read_or_refused(data: st.DataObject) -> None:
    text = yaml.safe_dump(STUDY)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        more = data.draw(st.text(max_size=5) | st.sampled_from(["&a ", "*a", "<<: *a", "!!int ", "? ", "[", "{", "- "]))
        text = text[:at] + more + text[at + data.draw(st.integers(0, 3)) :]
    answered(lambda: read(text))


@fuzzed
@given(st.data())
def test_a_table_of_anything_is_compared_or_refused(data: st.DataObject) -> None:
    cell = st.one_of(
        st.floats(width=32).map(str),
        st.integers(-3, 3).map(str),
        st.sampled_from(["", "nan", "inf", "a", "b", "1e308", "true", '"', ",", "\x00"]),
    )
    header = data.draw(
        st.sampled_from(
            [
                "unit,arm,value",
                "unit,arm,step,value",
                "unit,arm,status,value",
                "unit,a,b",
                "a,a,b",
                "",
                "unit,arm,value,value",
                "x",
            ]
        )
    )
    width = header.count(",") + 1
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width + 1), max_size=12))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "table.csv")
        file.write_text("\n".join([header, *(",".join(row) for row in rows)]))
        asked: dict[str, Any] = data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "baseline": st.sampled_from(["a", "b", "c"]),
                    "margin": st.sampled_from(["0.5", "5%", "-1", "x", "nan"]),
                    "scale": st.sampled_from(["raw", "log", "x"]),
                    "better": st.sampled_from(["lower", "higher", "x"]),
                    "where": st.sampled_from(["unit > 0", "arm == a", "value in 1,2", "x", "a != nan", "'a' == ''"]),
                    "arm": st.sampled_from(["arm", "a,b", "unit,arm", "b"]),
                    "value": st.sampled_from(["value", "a"]),
                    "at": st.sampled_from(["last", "best", "1", "x"]),
                    "step": st.sampled_from(["unit", "value", "x"]),
                    "ok": st.sampled_from(["a", "true,b", "short"]),
                    "failed": st.sampled_from(["arm", "value"]),
                    "ignore": st.sampled_from(["value", "unit"]),
                    "factors": st.sampled_from(["arm", "a,b", "unit"]),
                },
            )
        )
        answered(lambda: json.dumps(compare(file, **asked), allow_nan=False))


@functools.cache
def sound_images() -> tuple[bytes, ...]:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    made = []
    for form, mode in (("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("BMP", "L"), ("TIFF", "RGB")):
        stream = io.BytesIO()
        picture.convert(mode).save(stream, form)
        made.append(stream.getvalue())
    for form in ("GIF", "PPM"):
        stream = io.BytesIO()
        picture.save(stream, form)
        made.append(stream.getvalue())
    return tuple(made)


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Return bytes of which some are others, gone, or there twice."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, min(len(changed) - 1, 400))))
        changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    return bytes(changed[: data.draw(st.sampled_from([len(changed), len(changed) // 2]))])


@fuzzed
@given(st.data())
def test_a_damaged_image_is_decoded_or_refused(data: st.DataObject) -> None:
    content = damaged(data, data.draw(st.sampled_from(sound_images())))
    answered(lambda: decode(content, "x.png", data.draw(st.sampled_from([None, 1, 3]))))


@functools.cache
def sound_features(suffix: str) -> bytes:
    stream = io.BytesIO()
    table = np.random.default_rng(0).normal(size=(8, 3))
    if suffix == ".npy":
        np.save(stream, table)
    else:
        np.savez_compressed(stream, features=table)
        assert zipfile.is_zipfile(stream)
    return stream.getvalue()


@fuzzed
@given(st.data())
def test_a_damaged_file_of_features_is_read_or_refused(data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".npy", ".npz"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"features{suffix}")
        file.write_bytes(damaged(data, sound_features(suffix)))
        answered(lambda: read_features(file))


@functools.cache
def sound_results() -> Path:
    """The results of a study of two blocks, with a plan."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-results-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = fill(folder, study(design={"blocks": 2}), pictures=False)
    sizes = dict.fromkeys(
        ("proof", "reason", "parameters_g", "parameters_d", "macs_g", "macs_d", "activation_bytes", "matched_fraction")
    )
    plans = [{"arm": arm.name, "levels": dict(arm.levels), **sizes} for arm in arms(store.frozen().study)]
    store.write_file("plan.json", json.dumps({"arms": plans, "notes": []}).encode())
    return folder


columns = st.one_of(
    st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=1, max_size=1),
    st.lists(st.floats(), min_size=1, max_size=1),
    st.lists(st.text(max_size=8), min_size=1, max_size=1),
    st.lists(st.booleans(), min_size=1, max_size=1),
    st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=1, max_size=1),
    st.sampled_from([["../../etc/passwd"], ["complete"], ["baseline"], [1e308], [-5.0], [float("inf")], [2**62]]),
)


def with_another_column(data: st.DataObject, content: bytes) -> bytes:
    """Return a table of which one column is gone or holds something else, the same in every row."""
    table = pq.read_table(io.BytesIO(content))
    name = data.draw(st.sampled_from([*table.column_names, "more"]))
    rest = table.drop_columns([name]) if name in table.column_names else table
    if data.draw(st.booleans()) or name == "more":
        rest = rest.append_column(name, pa.array(data.draw(columns) * table.num_rows))
    sink = io.BytesIO()
    pq.write_table(rest, sink)
    return sink.getvalue()


def with_another_value(data: st.DataObject, content: bytes) -> bytes:
    """Return JSON of which one part is gone or something else."""
    document = json.loads(content)
    parts = [place for place in places(document) if place]
    if not parts:
        return json.dumps(data.draw(values)).encode()
    *group, key = data.draw(st.sampled_from(parts))
    inside = functools.reduce(lambda node, part: node[part], group, document)
    if data.draw(st.booleans()):
        inside[key] = data.draw(values)
    else:
        del inside[key]
    return json.dumps(document, default=str).encode(errors="replace")


@settings(fuzzed, max_examples=max(5, INPUTS // 10), phases=[Phase.generate])  # each takes a second: no shrinking
@given(st.data())
def test_damaged_results_are_judged_or_refused_in_one_line(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(shutil.copytree(sound_results(), Path(root, "pretended")))
        for _ in range(data.draw(st.integers(1, 2))):
            path = data.draw(st.sampled_from([*sorted(folder.glob("*.json")), *sorted(folder.glob("*/*.parquet"))]))
            change = with_another_value if path.suffix == ".json" else with_another_column
            try:
                content = data.draw(st.sampled_from([damaged, change]))(data, path.read_bytes())
            except (ValueError, OSError, pa.ArrowException):  # damaged twice
                continue
            path.write_bytes(content)
        start = time.thread_time()
        done = tiny.call(data.draw(st.sampled_from(["status", "report"])), folder)
        assert time.thread_time() - start < 4 * SECONDS
    assert done.returncode in (0, 2), done.stderr
    assert not OTHERS_WORDS.search(done.stdout + done.stderr)
    assert len(done.stderr) < 20_000
    assert (done.returncode == 2) == done.stderr.startswith("error: ")


def test_an_answer_that_is_late_or_not_ours_is_noticed() -> None:
    def fails() -> None:
        raise KeyError("x")

    def others() -> None:
        raise HarnessError("1 validation error for Study")

    with pytest.raises(KeyError):
        answered(fails)
    with pytest.raises(AssertionError):
        answered(others)
