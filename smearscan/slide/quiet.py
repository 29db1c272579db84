"""Keep the chatter of image libraries off the terminal while a file is parsed.

What they complain of is either harmless (an odd tag) or comes back as an exception, which the
readers turn into an error that names the slide.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("tifffile", "PIL")


@contextmanager
def quiet() -> Iterator[None]:
    """Mute the warnings and loggers of tifffile and Pillow; what was set before is put back."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
