"""What was measured of the classifier's errors: counts per group, as a model card holds them.

Ratios would hide how much they rest on, and pooled counts would hide that cells of one patient
are alike. So a card lists, for each group (a subject, a block of neighbouring fields, a source),
how many blasts and others there were and how many of each were called blast::

    [[validation.groups]]
    name = "Pre 0200-0249"
    n_blasts = 180              # mononuclear leukocytes that are blasts
    n_called_of_blasts = 171
    n_others = 0                # mononuclear leukocytes that are not
    n_called_of_others = 0
    n_suspect_of_others = 0     # of these, how many reached the card's `thresholds.suspect`; may be left out

A laboratory that has measured on its own smears lists the same under `[[aggregate.validation]]` of its preset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smearscan.error_counts import ValidationGroup
from smearscan.errors import SettingsError

_KEYS = ("n_blasts", "n_called_of_blasts", "n_others", "n_called_of_others")


@dataclass(frozen=True, slots=True)
class Validation:
    """The groups on which a classifier was measured.

    `is_local` says that the laboratory measured them on its own smears: only then are the
    corrected fraction and its interval transferable to them. `suspect_from` is the probability of blast from
    which a cell was counted as suspect, None where that was not done. `why_none` says why there is no group, where it
    is not that nobody measured.
    """

    groups: tuple[ValidationGroup, ...] = ()
    is_local: bool = False
    suspect_from: float | None = None
    why_none: str = ""

    @classmethod
    def from_card(cls, card: Mapping[str, Any], of: str = "") -> Validation:
        """Read the table `[[validation.groups]]` of a model card.

        A card without it gives an empty validation: every corrected interval is then 0 to 1, and says why. So does one
        that was measured with other packages or settings than those that call the cells now.

        Parameters
        ----------
        card
            A model card as a table.
        of
            Digest of what calls the cells now (`smearscan.judge.measured_digest`); without it nothing is compared.

        Raises
        ------
        SettingsError
            If a key is missing, or a count is impossible.
        """
        table = card.get("validation", {})
        groups = tuple(_group(row, number) for number, row in enumerate(table.get("groups", ()), 1))
        if of and table.get("of") and table["of"] != of:
            return cls(why_none="the classifier's errors were measured with other packages or settings than these")
        return cls(groups, suspect_from=card.get("thresholds", {}).get("suspect"))

    @classmethod
    def from_settings(cls, counted: Sequence[ValidationGroup], suspect_from: float | None = None) -> Validation:
        """What a laboratory counted on its own smears, suspect cells by the line of the card."""
        return cls(tuple(counted), True, suspect_from)

    @property
    def called_of_blasts(self) -> tuple[tuple[int, int], ...]:
        """(called, blasts) of each group that has blasts: sensitivity."""
        return tuple(sorted((g.n_called_of_blasts, g.n_blasts) for g in self.groups if g.n_blasts))

    @property
    def called_of_others(self) -> tuple[tuple[int, int], ...]:
        """(called, others) of each group that has others: false alarms."""
        return tuple(sorted((g.n_called_of_others, g.n_others) for g in self.groups if g.n_others))

    @property
    def called_of_blanks(self) -> tuple[tuple[int, int], ...]:
        """(called, cells) of each group without a blast: what a healthy smear reads."""
        return tuple(sorted((g.n_called_of_others, g.n_others) for g in self.groups if g.n_others and not g.n_blasts))

    @property
    def suspects_of_blanks(self) -> tuple[tuple[int, int], ...]:
        """(suspect, cells) of each group without a blast in which suspect cells were counted."""
        blanks = [g for g in self.groups if g.n_others and not g.n_blasts]
        return tuple(sorted((g.n_suspect_of_others, g.n_others) for g in blanks if g.n_suspect_of_others is not None))


def _group(row: Mapping[str, Any], number: int) -> ValidationGroup:
    name = str(row.get("name", f"group {number}"))
    for key in _KEYS:
        if type(row.get(key)) is not int:
            raise SettingsError(f"validation group {name!r}: {key} is not a whole number", "give all four counts")
    suspect = row.get("n_suspect_of_others")
    if suspect is not None and type(suspect) is not int:
        raise SettingsError(f"validation group {name!r}: n_suspect_of_others is no whole number", "leave it out")
    try:
        return ValidationGroup(name, **{key: row[key] for key in _KEYS}, n_suspect_of_others=suspect)
    except ValueError as error:
        raise SettingsError(str(error), "check the four counts of this group") from error
