"""How often cells of one group were called blast, rightly and wrongly: cards and presets list it.

A group is a subject, a block of neighbouring fields, a source: cells of one patient are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class ValidationGroup:
    """Mononuclear cells of one group: how many there were of each kind, how many were called blast.

    Attributes
    ----------
    n_blasts, n_called_of_blasts
        Cells that are blasts, and those called blast among them.
    n_others, n_called_of_others
        Cells that are not, and those called blast among them.
    n_suspect_of_others
        Of the others, those above the card's lower line `suspect`; None where that was not counted.

    Raises
    ------
    ValueError
        If more were called than there were, or a count is negative.
    """

    #: Where a card or a preset is read a misspelt key is an error.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    n_blasts: int = 0
    n_called_of_blasts: int = 0
    n_others: int = 0
    n_called_of_others: int = 0
    n_suspect_of_others: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.n_called_of_blasts <= self.n_blasts and 0 <= self.n_called_of_others <= self.n_others):
            raise ValueError(f"group {self.name!r}: more cells called than there were, or a negative count")
        if self.n_suspect_of_others is not None and not 0 <= self.n_suspect_of_others <= self.n_others:
            raise ValueError(f"group {self.name!r}: more cells suspect than there were, or a negative count")
