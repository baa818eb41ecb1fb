"""Two traces side by side: where they first part, and the shares of draws, batches and weights that are equal."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.named_draws.trace import FORMAT

DRAW_KEYS = ("draw", "function", "parameter", "sequence", "number")


@dataclass(frozen=True, slots=True)
class Shared:
    """How much of two traces is equal, bit for bit."""

    a: int
    b: int
    equal: int

    @property
    def share(self) -> float | None:
        """Equal ones over those of the longer trace; None where there are none."""
        longer = max(self.a, self.b)
        return self.equal / longer if longer else None

    def document(self) -> dict[str, Any]:
        """Return the counts and the share as plain data."""
        return {"a": self.a, "b": self.b, "equal": self.equal, "share": self.share}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """The weights of one optimizer, in the order in which optimizers made their first step."""

    number: int
    kind: str
    elements: Shared


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two traces share."""

    draws: Shared
    batches: Shared
    weights: Shared
    """In elements, before the first step of each optimizer."""
    optimizers: tuple[Optimizer, ...]
    parts_at: dict[str, Any] | None
    """The first draw that only one of them makes, or that came to other values; None where there is none."""
    escaped: tuple[dict[str, int], dict[str, int]]
    named: tuple[bool, bool]

    @property
    def identical(self) -> bool:
        """Whether draws, batches and weights are equal, all of them, and nothing escaped."""
        shared = (self.draws, self.batches, self.weights)
        return all(part.a == part.b == part.equal for part in shared) and not any(self.escaped)

    @property
    def keeps_a(self) -> bool:
        """Whether all draws and batches of A are in B too, bit for bit, and nothing escaped."""
        return all(part.a == part.equal for part in (self.draws, self.batches)) and not any(self.escaped)

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        optimizers = [{"number": one.number, "kind": one.kind, **one.elements.document()} for one in self.optimizers]
        return {
            "identical": self.identical,
            "draws": self.draws.document(),
            "batches": self.batches.document(),
            "weights": {**self.weights.document(), "optimizers": optimizers},
            "parts_at": self.parts_at,
            "escaped": {"a": self.escaped[0], "b": self.escaped[1]},
            "named": {"a": self.named[0], "b": self.named[1]},
        }

    def text(self) -> str:
        """Return all of it as people read it."""
        lines = [
            f"draws    {_share(self.draws, 'draws')}",
            f"batches  {_share(self.batches, 'batches')}",
            f"weights  {_share(self.weights, 'elements')} before the first step",
        ]
        lines += [
            f"  optimizer {one.number} ({one.kind}): {_share(one.elements, 'elements')}"
            for one in (self.optimizers if len(self.optimizers) > 1 else ())
        ]
        for name, escaped in zip("AB", self.escaped, strict=True):
            lines += [f"escaped in {name}: {where}, {count} x" for where, count in escaped.items()]
        if self.parts_at is None:
            lines.append("the traces do not part" if self.identical else "every draw that both make is equal")
        else:
            lines.append(f"they part at {self.parts_at['what']}")
        return "\n".join(lines)


def compare_traces(a: Path, b: Path) -> Comparison:
    """Return what two traces share.

    Args:
        a: A file that `match --trace` or `matched(trace=…)` wrote.
        b: Another one.

    Raises:
        HarnessError: A file is missing, or is no trace.
    """
    traces = (_Trace(a), _Trace(b))
    first, second = traces
    draws = _shared([[one.identity for one in trace.draws] for trace in traces])
    batches = _shared([list(trace.batches) for trace in traces])
    numbers = sorted({*first.weights, *second.weights})
    optimizers = tuple(_optimizer(number, first, second) for number in numbers)
    weights = _elements(
        [row for rows in first.weights.values() for row in rows],
        [row for rows in second.weights.values() for row in rows],
    )
    return Comparison(
        draws=draws,
        batches=batches,
        weights=weights,
        optimizers=optimizers,
        parts_at=_parting(first, second),
        escaped=(first.escaped, second.escaped),
        named=(first.named, second.named),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    key: tuple[Hashable, ...]
    digest: str
    text: str

    @property
    def identity(self) -> tuple[Hashable, ...]:
        return (*self.key, self.digest)


class _Trace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.draws: list[_Line] = []
        self.batches: list[tuple[int, str]] = []
        self.weights: dict[int, list[tuple[int, Hashable]]] = {}
        self.kinds: dict[int, str] = {}
        self.escaped: dict[str, int] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            head = json.loads(lines[0]) if lines else {}
        except OSError as error:
            raise HarnessError(f"{path}: {error.strerror}; write a trace with match --trace {path} -- …") from error
        except ValueError as error:
            raise HarnessError(f"{path}: no trace: {error}") from error
        if not isinstance(head, dict) or head.get("trace") != FORMAT:
            raise HarnessError(f"{path}: no trace of this version; write it with match --trace {path} -- …")
        self.named = bool(head["named"])
        for number, line in enumerate(lines[1:], 2):
            try:
                self._read(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise HarnessError(f"{path}:{number}: damaged line; trace again") from error

    def _read(self, line: dict[str, Any]) -> None:
        if "draw" in line:
            key = (*(line[name] for name in DRAW_KEYS), tuple(line["shape"]))
            parameter = f" of {line['parameter']}" if line["parameter"] else ""
            text = f"{line['function']}{line['shape']}{parameter}, number {line['number'] + 1} at {line['draw']}"
            self.draws.append(_Line(key, line["digest"], text))
        elif "batch" in line:
            self.batches.append((line["batch"], line["digest"]))
        elif "weight" in line:
            number = line["weight"]["optimizer"]
            self.kinds[number] = line["weight"]["kind"]
            shape = tuple(line["shape"])
            self.weights.setdefault(number, []).append((math.prod(shape), (shape, line["digest"])))
        elif "end" in line:
            self.escaped.update(line["end"]["escaped"])


def _shared(identities: Sequence[Sequence[Hashable]]) -> Shared:
    first, second = identities
    return Shared(len(first), len(second), (Counter(first) & Counter(second)).total())


def _elements(first: Sequence[tuple[int, Hashable]], second: Sequence[tuple[int, Hashable]]) -> Shared:
    equal = Counter(first) & Counter(second)
    return Shared(
        sum(n for n, _ in first), sum(n for n, _ in second), sum(n * times for (n, _), times in equal.items())
    )


def _optimizer(number: int, first: _Trace, second: _Trace) -> Optimizer:
    kind = first.kinds.get(number) or second.kinds[number]
    return Optimizer(number, kind, _elements(first.weights.get(number, ()), second.weights.get(number, ())))


def _parting(first: _Trace, second: _Trace) -> dict[str, Any] | None:
    """Return the first draw, in the order of its program, that the other trace has not, or has with other values."""
    partings = []
    for name, one, other in (("A", first, second), ("B", second, first)):
        digests = {line.key: line.digest for line in other.draws}
        for at, line in enumerate(one.draws):
            if digests.get(line.key) != line.digest:
                differs = line.key in digests
                what = "came to other values" if differs else f"is made only in {name}"
                partings.append(
                    (
                        at,
                        name,
                        {
                            "trace": name,
                            "draw": at + 1,
                            "only": not differs,
                            "what": f"draw {at + 1} of {name}: {line.text}, which {what}",
                        },
                    )
                )
                break
    return min(partings, key=lambda parting: parting[:2])[2] if partings else None


def _share(shared: Shared, unit: str) -> str:
    if shared.share is None:
        return f"no {unit}"
    return f"{shared.share:.1%} equal: {shared.equal:,} of {shared.a:,} {unit} in A and {shared.b:,} in B"
