"""What can go wrong, as a tree. Each message names the slide and the remedy.

::

    SmearscanError
    ├── PermanentError         trying again gives the same: record it, go on with the rest
    │   ├── SlideError         one input is at fault; its slide fails, the others do not
    │   │   ├── UnreadableSlideError    truncated, wrong format, not an image
    │   │   ├── UnsupportedImageError   an image, but not one we can judge (bit depth, size, bomb)
    │   │   ├── ScaleError              no µm per pixel and no red cells to measure it
    │   │   └── EmptySlideError         nothing but glass
    │   ├── WorksheetError     the worksheet does not say what it must
    │   ├── SettingsError      an unknown key, a value out of range
    │   ├── WeightsError       absent, altered, or of another network
    │   ├── DatasetError       a labelled set that is not whole, or not what its name says
    │   ├── TrainingError      a loss that is no number, a batch that fits no memory
    │   └── OutputError        the results cannot be written where they were asked for
    └── TransientError         trying again may succeed: a store away, a disk full for a while
"""

from __future__ import annotations


class SmearscanError(Exception):
    """Anything this package reports on purpose.

    Parameters
    ----------
    what
        What is wrong, naming the file.
    remedy
        What the reader can do about it; printed as a sentence of its own.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        end = "" if what.endswith("?") else "."
        super().__init__(f"{what}{end} {remedy[:1].upper()}{remedy[1:]}" if remedy else what)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; the default would pass one joined argument.
        return type(self), (self.what, self.remedy)


class PermanentError(SmearscanError):
    """Trying again gives the same."""


class TransientError(SmearscanError):
    """Trying again may succeed."""


class SlideError(PermanentError):
    """One slide is at fault."""


class UnreadableSlideError(SlideError):
    """Truncated, of another format than its name says, or no image at all."""


class UnsupportedImageError(SlideError):
    """An image, but not one that can be judged."""


class ScaleError(SlideError):
    """No µm per pixel, and not enough red cells to measure it; or one given that no microscope has."""


class EmptySlideError(SlideError):
    """No stained film on the slide."""


class WorksheetError(PermanentError):
    """The worksheet does not say what it must."""


class SettingsError(PermanentError):
    """An unknown key or a value out of range."""


class WeightsError(PermanentError):
    """Weights absent, altered, or of another network."""


class DatasetError(PermanentError):
    """A labelled set with files missing, altered or damaged, or laid out otherwise than its name says."""


class TrainingError(PermanentError):
    """Training cannot go on: a loss that is no number, a batch that does not fit into memory."""


class OutputError(PermanentError):
    """The results cannot be written where they were asked for."""
