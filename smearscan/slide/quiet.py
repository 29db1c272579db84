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
#: With no handler at all, a logger would write to the terminal.
_NOWHERE = logging.NullHandler()


@contextmanager
def quiet() -> Iterator[None]:
    """Mute the warnings and loggers of tifffile and Pillow; what was set before is put back."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.propagate for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            # Not its level: setting one makes every logger of the process forget what it had worked out.
            logger.propagate = False
            logger.addHandler(_NOWHERE)
        try:
            yield
        finally:
            for logger, was in zip(loggers, before, strict=True):
                logger.propagate = was
                logger.removeHandler(_NOWHERE)
