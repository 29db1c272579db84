"""The words and figures of a report: flags, fractions, units. Pure, so that every output agrees."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

#: Thin non-breaking space between a number and its unit.
GAP = "\u202f"

NOTICE = "Research use only; not a medical device. A flag is not a diagnosis; lineage needs flow cytometry."

#: Reasons that a page prints: a patient may have thousands of failed slides, and a page has its size.
MAX_REASONS = 50


@dataclass(frozen=True, slots=True)
class FlagWords:
    """A flag as people read it: never by its colour alone.

    `urgency` sorts a list of patients, most urgent first; `icon` names a drawing in plots.py.
    """

    title: str
    meaning: str
    icon: str
    urgency: int


FLAGS = {
    "acute_range": FlagWords(
        "Acute-leukaemia range",
        "The blast fraction is estimated in the range of acute leukaemia; its interval says how far below it may lie. "
        "Urgent morphology review and flow cytometry.",
        "octagon",
        0,
    ),
    "work_up": FlagWords(
        "Work-up",
        "The blast fraction is estimated at or above the level at which work-up starts. Morphology review.",
        "triangle",
        1,
    ),
    "review": FlagWords(
        "Review", "Blasts cannot be excluded. A trained person should look at the cells below.", "eye", 2
    ),
    "insufficient": FlagWords(
        "Insufficient",
        "This smear does not support a number. The figures below are shown for completeness and are not a result.",
        "question",
        3,
    ),
    "clear": FlagWords(
        "Clear",
        "No blasts above the limit of blank, and the interval ends below the level at which work-up starts.",
        "tick",
        4,
    ),
}

#: Named numbers of SlideResult.quality: label, unit, decimals.
QUALITY = {
    "focus": ("Focus (0 blurred – 1 sharp)", "", 2),
    "film_mm2": ("Covered by cells, without the plasma between them", "mm²", 2),
    "searched_mm2": ("Of that searched (monolayer)", "mm²", 2),
    "stain_distance": ("Stain, distance from the reference", "", 1),
    "n_thick_tiles": ("Tiles left out, film too thick", "", 0),
    "n_blurred_tiles": ("Tiles left out, out of focus", "", 0),
}


def percent(fraction: float, boundaries: tuple[float, ...] = ()) -> str:
    """A fraction as a percentage that never rounds across a decision threshold.

    One decimal, two below 1 %, and as many more as keep the printed number on the side of each
    boundary where the true one lies: 4.97 % is not printed as 5.0 %.

    Parameters
    ----------
    fraction
        0 to 1; not a number prints as a dash.
    boundaries
        Fractions at which a decision changes.
    """
    if not math.isfinite(fraction):
        return "–"
    value = 100 * fraction
    if value in (0, 100):
        return f"{value:.0f}{GAP}%"
    for decimals in range(2 if abs(value) < 1 else 1, 7):
        shown = float(f"{value:.{decimals}f}")
        if all((shown >= 100 * b) == (fraction >= b) for b in boundaries) and (shown not in (0, 100)):
            break
    return f"{value:.{decimals}f}{GAP}%"


def interval(low: float, high: float, boundaries: tuple[float, ...] = ()) -> str:
    """Two fractions as a range in per cent: '6.6–12.5 %'."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    first = percent(low, boundaries).removesuffix(f"{GAP}%")
    return f"{first}–{percent(high, boundaries)}"


def number(value: float | None, decimals: int = 2, unit: str = "") -> str:
    """A number with its unit; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.{decimals}f}".replace(",", GAP)
    return f"{text}{GAP}{unit}" if unit else text


def quality(name: str, value: float) -> tuple[str, str]:
    """Label and printed value of one quality number; an unknown one keeps its own name."""
    label, unit, decimals = QUALITY.get(name, (name.replace("_", " "), "", 3))
    return label, number(value, decimals, unit)


def counted(n: int, one: str, many: str) -> str:
    """'1 slide', '3 slides'."""
    return f"{number(n, 0)} {one if n == 1 else many}"


def sentence(text: str) -> str:
    """A reason as a printed sentence: a capital first, spaces in order, per cent apart, nothing unprintable."""
    line = re.sub(r"(?<=\d)%(?![\w.])", f"{GAP}%", printable(" ".join(text.split())))
    return line[:1].upper() + line[1:]


def listed(reasons: Sequence[str]) -> tuple[str, ...]:
    """Reasons as printed sentences, of very many some: what is said of one slide goes before what is said of all."""
    if len(reasons) <= MAX_REASONS:
        return tuple(map(sentence, reasons))
    by_weight = sorted(range(len(reasons)), key=lambda place: reasons[place].startswith("slide "))
    shown = [sentence(reasons[place]) for place in sorted(by_weight[:MAX_REASONS])]
    return *shown, f"And {number(len(reasons) - MAX_REASONS, 0)} more, all of them in patients.csv"


def threshold(fraction: float) -> str:
    """A threshold as it is spoken of: '5 %', not '5.0 %'."""
    return f"{100 * fraction:g}{GAP}%"


def printable(text: str) -> str:
    """Text that shows what it holds: control characters, direction marks and lone surrogates as escapes."""
    if text.isprintable():  # nearly all there is, told at once
        return text
    return "".join(_escaped(c) if _is_hidden(c) else c for c in text)


def css_string(text: str) -> str:
    """Text as a string of a style sheet that nothing in it can end: all but letters and digits are escaped."""
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in printable(text)) + '"'


def _is_hidden(character: str) -> bool:
    # The joiner holds emoji and some scripts together; other format characters can turn a name around.
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\u200d"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
