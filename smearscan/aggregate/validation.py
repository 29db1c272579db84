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
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smearscan.errors import SettingsError

_KEYS = ("n_blasts", "n_called_of_blasts", "n_others", "n_called_of_others")


@dataclass(frozen=True, slots=True)
class ValidationGroup:
    """Mononuclear cells of one group: how many there were of each kind, how many were called blast.

    `n_suspect_of_others` are those above the lower line (see `doubt`), None where that was not counted.

    Raises
    ------
    ValueError
        If more were called than there were, or a count is negative.
    """

    name: str
    n_blasts: int
    n_called_of_blasts: int
    n_others: int
    n_called_of_others: int
    n_suspect_of_others: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.n_called_of_blasts <= self.n_blasts and 0 <= self.n_called_of_others <= self.n_others):
            raise ValueError(f"group {self.name!r}: more cells called than there were, or a negative count")
        if self.n_suspect_of_others is not None and not 0 <= self.n_suspect_of_others <= self.n_others:
            raise ValueError(f"group {self.name!r}: more cells suspect than there were, or a negative count")


@dataclass(frozen=True, slots=True)
class Validation:
    """The groups on which a classifier was measured.

    `is_local` says that the laboratory measured them on its own smears: only then are the
    corrected fraction and its interval transferable to them. `suspect_from` is the probability of blast from
    which a cell was counted as suspect, None where that was not done.
    """

    groups: tuple[ValidationGroup, ...] = ()
    is_local: bool = False
    suspect_from: float | None = None

    @classmethod
    def from_card(cls, card: Mapping[str, Any], is_local: bool = False) -> Validation:
        """Read the table `[[validation.groups]]` of a model card.

        A card without it gives an empty validation: every corrected interval is then 0 to 1, and says why.

        Raises
        ------
        SettingsError
            If a key is missing, or a count is impossible.
        """
        rows = card.get("validation", {}).get("groups", ())
        groups = tuple(_group(row, number) for number, row in enumerate(rows, 1))
        return cls(groups, is_local, card.get("thresholds", {}).get("suspect"))

    @classmethod
    def from_file(cls, path: Path) -> Validation:
        """Read a laboratory's own validation file: TOML with `[[validation.groups]]`.

        Raises
        ------
        SettingsError
            If the file cannot be read as such, or holds no group.
        """
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise SettingsError(f"there is no validation file {path}", "give the path of a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not TOML: {error}", "mend the line it names") from error
        validation = cls.from_card(table, is_local=True)
        if not validation.groups:
            raise SettingsError(f"{path} holds no [[validation.groups]]", "list the counts of each group measured")
        return validation

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
