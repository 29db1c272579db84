"""Model cards as a reader sees them: what each network is for, what it is not for, what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smearscan.report import wording

#: What a reader wants first; the rest follows in the card's order.
_FIRST = ("summary", "task", "not_for", "figures", "validation", "input", "data", "network", "classes", "thresholds")
#: Shown as the heading or in the provenance.
_ELSEWHERE = ("name", "weights", "kind")
_MAX_TEXT = 700
_UNITS = {"um_per_px": "µm/px", "_um": "µm", "_px": "px"}


@dataclass(frozen=True, slots=True)
class CardView:
    """A card's name and its lines, key and text."""

    name: str
    lines: tuple[tuple[str, str], ...]


def view_card(card: Mapping[str, Any], number: int = 1) -> CardView:
    """Put a card into lines; nested keys are joined, validation groups are pooled.

    Parameters
    ----------
    card
        As read from configs/cards; any keys.
    number
        Stands in for a name where there is none.
    """
    keys = [key for key in _FIRST if key in card]
    keys += [key for key in card if key not in _FIRST and key not in _ELSEWHERE]
    lines = [line for key in keys for line in _lines(key, card[key])]
    shown = tuple((key.replace("_", " "), _short(wording.printable(text))) for key, text in lines if text)
    return CardView(wording.printable(str(card.get("name", f"model {number}"))), shown)


def _lines(key: str, value: Any) -> list[tuple[str, str]]:
    if key == "validation" and isinstance(value, Mapping) and value.get("groups"):
        return [(key, _pooled(value["groups"])), ("validation note", str(value.get("note", "")))]
    if isinstance(value, Mapping):
        flat = [(k, v) for k, v in value.items() if not isinstance(v, Mapping | list | tuple)]
        nested = [(k, v) for k, v in value.items() if isinstance(v, Mapping | list | tuple)]
        joined = "; ".join(_measured(k, v) for k, v in flat if v not in (None, ""))
        return [(key, joined), *(line for k, v in nested for line in _lines(f"{key}: {k}", v))]
    return [(key, _scalar(value))]


def _pooled(groups: Sequence[Mapping[str, Any]]) -> str:
    def total(name: str) -> int:
        return sum(int(group.get(name, 0)) for group in groups)

    blasts, others = total("n_blasts"), total("n_others")
    return (
        f"{len(groups)} groups of cells not trained on: {total('n_called_of_blasts')} of {blasts} blasts called blast, "
        f"{total('n_called_of_others')} of {others} other mononuclear cells called blast"
    )


def _measured(key: str, value: Any) -> str:
    """Key and value with the unit that the key's ending names."""
    for ending, unit in _UNITS.items():
        if key.endswith(ending):
            return f"{key.removesuffix(ending).replace('_', ' ')} {_scalar(value)} {unit}".strip()
    return f"{key.replace('_', ' ')} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, list | tuple):
        joint = ", " if all(isinstance(item, int | float) for item in value) else "; "
        return joint.join(_scalar(item).rstrip(".") for item in value if not isinstance(item, Mapping))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT].rsplit(" ", 1)[0].rstrip(" ,;.") + " …"
