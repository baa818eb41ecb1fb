"""Data sets: glyph pairs from fonts, zi2zi's own files, image folders, faces, and a user's own."""

from harness.data.augmentation import augment
from harness.data.dataset import Dataset, Split, to_range
from harness.data.dataset_check import check_dataset
from harness.data.loading import load

__all__ = ["Dataset", "Split", "augment", "check_dataset", "load", "to_range"]
