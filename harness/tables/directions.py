"""Which direction of a value is better, where its name says so."""

from __future__ import annotations

from harness.errors import DataError
from harness.metrics.catalogue import METRICS
from harness.metrics.directions import direction_of_words
from harness.statistics.verdict_rule import Better
from harness.tables.columns import short

WORDS: dict[str, Better] = {
    **dict.fromkeys(("lower", "min", "minimize", "minimise"), "lower"),
    **dict.fromkeys(("higher", "max", "maximize", "maximise"), "higher"),
}


def direction_of(name: str) -> Better | None:
    """Return the direction that a value's name says; None where it says none.

    Example:
        >>> direction_of("val/Accuracy"), direction_of("metrics.fid_clean"), direction_of("loss_d")
        ('higher', 'lower', None)
    """
    bare = short(name)
    if bare in METRICS:
        return METRICS[bare].better
    return direction_of_words(bare)


def direction(better: str | None, name: str, where: str) -> tuple[Better, str | None]:
    """Return the direction that was given, or that the value's name says with a sentence that it does.

    Raises:
        DataError: The word is no direction, or none was given and the name says none.
    """
    if better is not None:
        if better.lower() not in WORDS:
            raise DataError(f"better: '{better}' found; allowed: lower, higher (also minimize, maximize)")
        return WORDS[better.lower()], None
    said = direction_of(name)
    if said is None:
        raise DataError(
            f"{where}: nothing says whether a lower or a higher '{short(name)}' is better; "
            "say --direction lower or --direction higher"
        )
    return said, f"{said.capitalize()} {short(name)} is taken as better, by its name; --direction says otherwise."
