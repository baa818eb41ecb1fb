"""What an arm that is a command drew alike with the baseline, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(arm: str, shared: Mapping[str, Any]) -> str:
    """Return what an arm shares with the baseline, in a sentence or a few."""
    parts = [
        f"{_share(shared[what])} of the {words}"
        for what, words in (("weights", "weights before the first step"), ("batches", "batches"), ("draws", "draws"))
        if shared[what]["share"] is not None
    ]
    if not parts:
        return f"'{arm}': no draw was seen, so nothing is known to be matched with the baseline."
    said = f"'{arm}', block {shared['block']}: {', '.join(parts)} are the baseline's, bit for bit"
    if shared["identical"]:
        said += "; nothing that was drawn or fed differs"
    elif shared["parts_at"]:
        said += f"; they part at {shared['parts_at']['what']} (A is the baseline)"
    unread = shared.get("not_imported", ())
    if unread and len(unread) == shared.get("changed"):
        said += f"; what it changes ({', '.join(unread[:3])}) is no file that the program imported"
    escaped = sorted({*shared["escaped"]["a"], *shared["escaped"]["b"]})
    return said + (f"; draws without a name, which are not matched: {', '.join(escaped[:3])}." if escaped else ".")


def _share(counts: Mapping[str, Any]) -> str:
    share = float(counts["share"])
    # What is nearly all is not called all.
    return "all" if share == 1 else f"{min(share, 0.999):.1%}"
