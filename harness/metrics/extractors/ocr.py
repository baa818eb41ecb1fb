"""A network that reads: PP-OCRv6 recognition from the package rapidocr, which sees which character an image shows."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import MissingExtraError
from harness.metrics.extractors.feature_id import feature_id_of

if TYPE_CHECKING:
    import onnxruntime

INPUT_SIZE = 48
"""Height that the network was made for; a single character is given as a square."""
PREPROCESSING = (
    "PP-OCRv6 rec small; grey repeated to 3; bilinear antialiased to 48x48; [-1, 1]; mean of 6 positions, 120"
)
_BEFORE_CLASSES = "p2o.pd_op.transpose.8.0"
"""The tensor (N, 6, 120) from which the network's last layer reads characters."""
_BATCH = 32


def weights_file() -> Path:
    """Return the path of the recognition network inside the package rapidocr (Apache-2.0, 21 MB).

    Raises:
        MissingExtraError: The package, or onnxruntime, or onnx is not installed.
    """
    specs = {module: importlib.util.find_spec(module) for module in ("rapidocr", "onnxruntime", "onnx")}
    absent = [module for module, spec in specs.items() if spec is None]
    package = specs["rapidocr"]
    way = "pip install 'gan-ablation-harness[ocr]'"
    if absent or package is None or package.origin is None:
        raise MissingExtraError(f"features 'ocr': {', '.join(absent)} not installed; {way}")
    file = Path(package.origin).parent / "models" / "PP-OCRv6_rec_small.onnx"
    if not file.is_file():
        raise MissingExtraError(f"features 'ocr': {file} is not there (another version of rapidocr?); {way}")
    return file


@functools.cache
def session() -> onnxruntime.InferenceSession:
    """Return the network, on one thread, with the features before its last layer as a second output."""
    import onnx
    import onnxruntime

    model = onnx.load(weights_file())
    model.graph.output.append(onnx.helper.make_tensor_value_info(_BEFORE_CLASSES, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@functools.cache
def _classes() -> tuple[str, ...]:
    """Return what each output class stands for: nothing, the network's characters in order, a space."""
    listed = session().get_modelmeta().custom_metadata_map["character"].split("\n")
    return ("", *listed, " ")


@functools.cache
def characters() -> frozenset[str]:
    """Return the characters that the network can read: 18,708, among them no Cyrillic and half of Greek."""
    return frozenset(_classes()) - {"", " "}


@functools.cache
def feature_id() -> str:
    """Return the identity of these features: a hash of weights and preprocessing."""
    return feature_id_of("ocr", PREPROCESSING, weights_file())


def _outputs(images: Tensor, name: str) -> np.ndarray[Any, Any]:
    parts = []
    for batch in images.split(_BATCH):
        square = batch
        if batch.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
            size = (INPUT_SIZE, INPUT_SIZE)
            square = F.interpolate(batch, size, mode="bilinear", align_corners=False, antialias=True)
        fed = (square.expand(-1, 3, -1, -1) * 2 - 1).cpu().contiguous().numpy()
        parts.append(session().run([name], {session().get_inputs()[0].name: fed})[0])
    return np.concatenate(parts)


def features(images: Tensor) -> Tensor:
    """Return features (N, 120), float32, of images (N, C, H, W) in [0, 1] with 1 or 3 channels."""
    return torch.from_numpy(_outputs(images, _BEFORE_CLASSES).mean(axis=1))


def read(images: Tensor) -> list[str]:
    """Return the text in each image (N, C, H, W) in [0, 1]: best class per position, repeats and blanks dropped."""
    best = _outputs(images, session().get_outputs()[0].name).argmax(axis=2)
    classes = _classes()
    texts = []
    for row in best:
        new = np.concatenate([[True], row[1:] != row[:-1]])
        texts.append("".join(classes[index] for index in row[new]))
    return texts
