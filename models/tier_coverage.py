"""Whether tiers share out all customers there can be: each tier can be reached, and nobody is left.

Every value that the conditions look at takes representative values: null, and at, between and beyond the
numbers that it is compared with. Different values are taken to be independent of each other.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.contract import Kind
from features.errors import InputError
from models.clauses import Among, Clause, Comparison, Fixed, Joined, Missing, Negated, Ranked, compared
from models.condition_values import Column, Constant, Plain
from models.cuts import BOTTOM, BRINGS, Cut

MOST_CELLS = 4_000_000
OTHER = "\0"
"""A text that no condition can name."""
Truth = NDArray[np.bool_]


class Tier(NamedTuple):
    """A tier's name, its place in the configuration, and its condition."""

    name: str
    place: str
    clause: Clause


class Point(NamedTuple):
    """A representative value.

    Attributes
    ----------
    value
        Null where not known.
    rank
        The share of customers whose value is at least as high.
    brought
        The share of the total that these bring: never less than `rank`.
    """

    value: Plain | None
    rank: float = 1.0
    brought: float = 1.0


@dataclass
class _Marks:
    """What one value is compared with."""

    constants: set[Plain] = field(default_factory=set)
    shares: set[float] = field(default_factory=set)
    is_flag: bool = False
    texts: tuple[str, ...] = ()

    def points(self) -> list[Point]:
        shares = [(low + high) / 2 for low, high in pairwise([0.0, *sorted(self.shares), 1.0])]
        known = [
            Point(value, rank, brought)
            for value in self._values()
            for rank in shares
            for brought in shares
            if brought >= rank
        ]
        return [Point(None), *(known if self.shares else [Point(point.value) for point in known])]

    def _values(self) -> list[Plain]:
        texts = [each for each in self.constants if isinstance(each, str)]
        numbers = sorted(each for each in self.constants if isinstance(each, float))
        if self.texts:
            return list(self.texts)
        if texts:
            return [*sorted(texts), OTHER]
        if self.is_flag:
            return [0.0, 1.0]
        if not numbers:
            return [0.0]
        between = [(low + high) / 2 for low, high in pairwise(numbers)]
        least, most = numbers[0] - max(1.0, abs(numbers[0])), numbers[-1] + max(1.0, abs(numbers[-1]))
        return [least, *numbers, *between, most]


def check_tiers(tiers: Sequence[Tier]) -> None:
    """Check that each tier can be reached, and that every customer is in one.

    Parameters
    ----------
    tiers
        Best first; a customer is in the first whose clause holds.

    Raises
    ------
    InputError
        A tier contradicts itself or is covered by those before it, some customers would be in none, or
        there are too many combinations to tell.
    """
    cells = _Cells([tier.clause for tier in tiers])
    held = [cells.truth(tier.clause) for tier in tiers]
    left: Truth = np.array(True)
    for number, tier in enumerate(tiers):
        if not (held[number] & left).any():
            raise InputError(f"{tier.place}: {_why_empty(tiers, held, number)}")
        left = left & ~held[number]
    if left.any():
        last = tiers[-1]
        raise InputError(
            f"{last.place}: some customers would be in no tier, such as one with {cells.example(left)}; "
            f"leave 'when' of the last tier, {last.name!r}, away, so that it takes all who are left"
        )


def check_flow(flow: Tier) -> None:
    """Check that a rule holds for some customers and not for all.

    Raises
    ------
    InputError
        It contradicts itself, or would leave nobody to the levels.
    """
    held = _Cells([flow.clause]).truth(flow.clause)
    if not held.any():
        raise InputError(
            f"{flow.place}: this flow can never hold: its condition contradicts itself; correct it"
        )
    if held.all():
        raise InputError(
            f"{flow.place}: this flow holds for every customer, so that all would be {flow.name!r}; "
            "narrow its condition"
        )


def _why_empty(tiers: Sequence[Tier], held: list[Truth], number: int) -> str:
    name = tiers[number].name
    if not held[number].any():
        return f"tier {name!r} can never be reached: its condition contradicts itself; correct it"
    before = [tiers[at].name for at in range(number) if not (held[number] & ~held[at]).any()]
    by = f"{before[0]!r} before it takes" if before else "the tiers before it take"
    return f"tier {name!r} can never be reached: {by} every customer that it could; move it up or change it"


class _Cells:
    """All combinations of representative values, one axis for each value."""

    def __init__(self, clauses: Sequence[Clause]) -> None:
        marks: defaultdict[str, _Marks] = defaultdict(_Marks)
        for clause in clauses:
            for part in clause.parts_within():
                _mark(part, marks)
        self._points = {key: each.points() for key, each in marks.items()}
        self._axes = {key: axis for axis, key in enumerate(self._points)}
        count = prod(map(len, self._points.values()))
        if count > MOST_CELLS:
            raise InputError(
                f"tiers.levels compare too many values ({', '.join(self._points)}) to tell whether every "
                f"tier can be reached ({count:,} combinations, at most {MOST_CELLS:,}); let them name fewer "
                "columns or fewer numbers, or make a feature of some of them"
            )

    def truth(self, clause: Clause) -> Truth:
        """Tell in which cells a clause holds."""
        match clause:
            case Fixed(is_true=is_true):
                return np.array(is_true)
            case Negated(part=part):
                return ~self.truth(part)
            case Joined(parts=parts, is_all=is_all):
                whole = np.array(is_all)
                for part in parts:
                    whole = whole & self.truth(part) if is_all else whole | self.truth(part)
                return whole
        key = _key(clause)
        shape = [1] * len(self._axes)
        shape[self._axes[key]] = -1
        return np.array([_holds(clause, point) for point in self._points[key]]).reshape(shape)

    def example(self, cells: Truth) -> str:
        """Describe the first of some cells."""
        place = np.argwhere(cells)[0]
        return " and ".join(self._described(place, cells.shape)) or "any values"

    def _described(self, place: NDArray[Any], shape: Sequence[int]) -> Iterator[str]:
        for (key, points), at, size in zip(self._points.items(), place, shape, strict=False):
            if size == 1:
                continue
            point = points[int(at)]
            if point.value is None:
                yield f"no {key}"
            elif point.value == OTHER:
                yield f"another {key}"
            elif point.rank < 1.0:
                yield f"a {key} that {point.rank:.0%} of the customers reach"
            else:
                yield f"{key} = {Constant(point.value).text}"


def _key(part: Clause) -> str:
    """Name the value that a clause looks at; of two columns their difference."""
    if isinstance(part, Comparison) and not isinstance(part.right, Constant):
        return " - ".join(sorted((part.left.text, part.right.text)))
    return part.values()[0].text


def _mark(part: Clause, marks: defaultdict[str, _Marks]) -> None:
    if isinstance(part, Fixed):
        return
    mark, value = marks[_key(part)], part.values()[0]
    if isinstance(value, Column):
        mark.is_flag, mark.texts = value.kind is Kind.FLAG, value.texts
    match part:
        case Comparison(right=Constant(value=constant)):
            mark.constants.add(constant)
        case Comparison():
            mark.is_flag, mark.texts = False, ()
            mark.constants.add(0.0)
        case Among(options=options):
            mark.constants.update(options)
        case Ranked(cut=cut):
            mark.shares.add(_rank(cut))


def _holds(part: Clause, point: Point) -> bool:
    match part:
        case Missing():
            found = point.value is None
        case Among(options=options):
            found = point.value in options
        case Comparison(right=Constant(value=constant), operator=operator):
            found = compared(point.value, operator, constant)
        case Comparison(left=left, right=right, operator=operator):
            sides = (point.value, 0.0) if left.text <= right.text else (0.0, point.value)
            found = compared(sides[0], operator, sides[1])
        case Ranked(cut=cut):
            found = point.value is not None and _is_among(cut, point)
        case _:
            found = False
    return found


def _is_among(cut: Cut, point: Point) -> bool:
    if cut.function == BOTTOM:
        return point.rank > _rank(cut)
    return (point.brought if cut.function == BRINGS else point.rank) <= cut.share


def _rank(cut: Cut) -> float:
    """Return where a cut lies, the highest first: ``bottom(x, 0.8)`` where ``top(x, 0.2)`` does."""
    return round(1.0 - cut.share, 12) if cut.function == BOTTOM else cut.share
