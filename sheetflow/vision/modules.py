"""Hold what was read from the bars of an EAN, or a UPC-A, against the bars themselves.

Pure. Engines tell digits by the distances between edges, in which a 1 is like a 7 and a 2 like an
8 where ink has spread or shrunk; two engines then agree on the same wrong number. Here the bars
that the digits should have are laid over those on the paper, module by module.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sheetflow.symbologies import has_valid_check_digit

Values = NDArray[np.float64]

_ODD = [
    f"{modules:07b}" for modules in (0x0D, 0x19, 0x13, 0x3D, 0x23, 0x31, 0x2F, 0x3B, 0x37, 0x0B)
]
_RIGHT = ["".join("10"[int(module)] for module in digit) for digit in _ODD]
_EVEN = [digit[::-1] for digit in _RIGHT]
_PARITIES = [
    "".join("OE"[int(even)] for even in f"{parity:06b}")
    for parity in (0x00, 0x0B, 0x0D, 0x0E, 0x13, 0x19, 0x1C, 0x15, 0x16, 0x1A)
]
_SETS = {"O": _ODD, "E": _EVEN, "R": _RIGHT}
_MODULES = {13: 95, 8: 67}
_BLURS = (0.0, 0.1, 0.2, 0.3)
_SCALES = np.linspace(0.96, 1.04, 17)
_SHIFTS = np.linspace(-1.5, 1.5, 19)  # modules
_CLEAR = 0.9
_LEAD = 0.05


def other_digits(profile: Values, start: float, end: float, digits: str) -> str | None:
    """Return the digits that the bars clearly spell, of a right check digit, if not those read.

    Args:
        profile: How light the code is along a line through all bars.
        start: Where on it the first bar begins, roughly.
        end: Where the last one ends.
        digits: An EAN-13, EAN-8 or UPC-A as it was read.

    Source: measured on 40 photographs and 430 codes of sheets, where the read was right no other
    digits came to .9; where it was wrong it came to .85 and the printed digits to .95 and .96.
    """
    digits = digits.zfill(13) if len(digits) == 12 else digits
    if len(digits) not in _MODULES:
        return None
    code = (profile, start, end, _MODULES[len(digits)])
    for scales, shifts in ((_SCALES[8:9], _SHIFTS[6:13:2]), (_SCALES[::4], _SHIFTS[::2])):
        if _likeness(_laid(*code, scales, shifts), digits) > _CLEAR:
            return None
    laid = _laid(*code, _SCALES, _SHIFTS)
    least = max(_CLEAR, _likeness(laid, digits) + _LEAD)
    others = {other: _likeness(laid, other) for other in _spelled(laid, len(digits))}
    best = max(others, key=lambda other: (others[other], other), default=digits)
    return best if best != digits and others[best] > least else None


def _laid(
    profile: Values, start: float, end: float, count: int, scales: Values, shifts: Values
) -> Values:
    """Return how dark each module is, 0 to 1, for many ways to lay them: (ways, modules)."""
    sums = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    module, middle = (end - start) / count, (start + end) / 2
    edges = np.arange(count + 1) - count / 2
    scale, shift = (ways.reshape(-1, 1) for ways in np.meshgrid(scales, shifts))
    places = middle + module * (edges * scale + shift)
    light = np.diff(np.interp(places, np.arange(len(sums)), sums), axis=1)
    low, high = np.percentile(light, (8, 92), axis=1)[..., None]
    return np.asarray((high - light) / np.maximum(high - low, 1e-6), np.float64)


def _likeness(laid: Values, digits: str) -> float:
    """Return how alike bars and digits are in the best way to lay them, as a correlation."""
    centred = laid - laid.mean(axis=1, keepdims=True)
    lengths = np.maximum(np.linalg.norm(centred, axis=1), 1e-9)
    best = 0.0
    for blur in _BLURS:
        wanted = _blurred(_modules(digits), blur)
        wanted = wanted - wanted.mean()
        best = max(best, float((centred @ wanted / lengths).max()) / float(np.linalg.norm(wanted)))
    return best


def _spelled(laid: Values, length: int) -> set[str]:
    """Return the numbers with a right check digit that the nearest digits make, way by way."""
    half = length // 2
    places = [3 + 7 * i for i in range(half)] + [8 + 7 * i for i in range(half, 2 * half)]
    found: set[str] = set()
    for blur in _BLURS[1:]:
        chosen = []
        for number, place in enumerate(places):
            kinds = "R" if number >= half else "OE" if length == 13 else "O"
            names, patterns = _digits(kinds, blur)
            piece = laid[:, place : place + 7]
            errors = (patterns**2).sum(axis=1) - 2 * piece @ patterns.T
            chosen.append([names[i] for i in errors.argmin(axis=1)])
        for way in set(zip(*chosen, strict=True)):
            found.add("".join(digit for _, digit in way) if length == 8 else _thirteen(way))
    return {digits for digits in found if digits and has_valid_check_digit(digits)}


def _thirteen(way: tuple[tuple[str, str], ...]) -> str:
    """Return the EAN-13 of twelve digits, the first told by the parities; empty where none."""
    parity = "".join(kind for kind, _ in way[:6])
    if parity not in _PARITIES:
        return ""
    return str(_PARITIES.index(parity)) + "".join(digit for _, digit in way)


@cache
def _digits(kinds: str, blur: float) -> tuple[list[tuple[str, str]], Values]:
    """Return (set, digit) of each digit of some sets, and what their modules look like."""
    names = [(kind, str(digit)) for kind, digit in product(kinds, range(10))]
    patterns = []
    for kind, digit in names:
        before, after = "01" if kind == "R" else "10"
        modules = [int(module) for module in before + _SETS[kind][int(digit)] + after]
        patterns.append(_blurred(np.array(modules, np.float64), blur)[1:-1])
    return names, np.array(patterns)


def _modules(digits: str) -> Values:
    """Return the modules of an EAN, 1 where a bar is."""
    if len(digits) == 13:
        parity, left, right = _PARITIES[int(digits[0])], digits[1:7], digits[7:]
    else:
        parity, left, right = "OOOO", digits[:4], digits[4:]
    first = "".join(_SETS[kind][int(d)] for kind, d in zip(parity, left, strict=True))
    last = "".join(_RIGHT[int(digit)] for digit in right)
    return np.array([int(module) for module in f"101{first}01010{last}101"], np.float64)


def _blurred(modules: Values, blur: float) -> Values:
    return np.convolve(modules, [blur, 1 - 2 * blur, blur], "same")
