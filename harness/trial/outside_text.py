"""Text that comes out of a trial: data of somebody else's making, which must not harm who stores or reads it."""

from __future__ import annotations

import re

MESSAGE = 2_000
"""Characters kept of a message."""
LONG = 100_000
"""Characters kept of a traceback or of what a trial printed."""

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements (ECMA-48, CSI)
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|\Z)"  # window titles, links, device strings (OSC, DCS, SOS, PM, APC)
    r"|\x1b[ -/]*[0-~]?"  # other escapes
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]",  # control characters but tab and line feed
    re.DOTALL,
)
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that let text read in another order than it is written (Unicode annex 9)."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: what Python makes of a file name that is not UTF-8; no encoding takes it."""


def cleaned(text: str | bytes, most: int = MESSAGE) -> str:
    """Return a text that any file, table and terminal can take.

    Args:
        text: Whatever a trial said; bytes are read as UTF-8.
        most: Characters to keep; what is longer loses its middle, and says so.

    Returns:
        The text without terminal escapes, control characters and direction marks; what no encoding knows, such as half
        a surrogate pair, is U+FFFD.
    """
    if isinstance(text, bytes):
        text = text[-8 * most :].decode("utf-8", "replace")
    if len(text) > 8 * most:  # what follows would be slow on hundreds of megabytes
        text = _shortened(text, 8 * most)
    text = _SURROGATE.sub("\ufffd", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _shortened(_DIRECTION.sub("", _TERMINAL.sub("", text)), most)


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    gap = f" … {len(text) - most:,} characters left out … "
    half = max((most - len(gap)) // 2, 1)
    return f"{text[:half]}{gap}{text[-half:]}"
