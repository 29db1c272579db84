"""A whole submission: every slide tried, every outcome kept, the same bytes for any number of jobs.

Slides are coordinated by threads, their chunks are computed by processes of one torch thread each:
a large scan keeps all cores busy, and so do many small fields.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from smearscan.errors import SmearscanError
from smearscan.pipeline import Runner, screen_slide
from smearscan.records import SlideResult, SlideSource
from smearscan.settings import Settings

log = logging.getLogger(__name__)

#: Called with slides done (fractions too), slides in all, and a note.
OnProgress = Callable[[float, float, str], None]


def start_worker() -> None:
    """Settle a worker process: one thread for each library, whatever the machine has."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


@contextmanager
def workers(jobs: int) -> Iterator[Runner]:
    """A runner over `jobs` processes; in this process alone for one job."""
    if jobs == 1:
        start_worker()
        yield map
        return
    # spawn: a forked child would inherit torch's locks in whatever state they are.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=start_worker) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def screen_slides(
    sources: Sequence[SlideSource], settings: Settings, run: Runner, jobs: int, on_progress: OnProgress
) -> list[SlideResult]:
    """Screen every slide; one that fails is a failed result with its reason, in its place."""
    results: dict[int, SlideResult] = {}
    steps = _Steps(len(sources), on_progress)
    with ThreadPoolExecutor(min(jobs, max(1, len(sources))) + (jobs > 1)) as coordinators:
        futures: dict[Future[SlideResult], int] = {}
        for index, source in enumerate(sources):
            futures[coordinators.submit(_try_slide, source, settings, steps.watch(index, run))] = index
        for future in as_completed(futures):
            index = futures[future]
            results[index] = future.result()
            steps.finish(index, results[index])
    return [results[index] for index in range(len(sources))]


def _try_slide(source: SlideSource, settings: Settings, run: Runner) -> SlideResult:
    try:
        return screen_slide(source, settings, run)
    except SmearscanError as error:
        return SlideResult(source, "failed", reason=str(error))
    except BrokenProcessPool:
        reason = f"{source.path}: a worker process died, most likely for want of memory. Run again with fewer --jobs"
        return SlideResult(source, "failed", reason=reason)
    except Exception as error:  # one slide must never stop the others; its traceback goes to the log
        log.error("slide %s failed unexpectedly\n%s", source.slide_id, traceback.format_exc())
        reason = f"{source.path}: unexpected {type(error).__name__}: {error}. Please report it with the log"
        return SlideResult(source, "failed", reason=reason)


class _Steps:
    """Progress in slides: what a slide's chunks are of its whole, added up over all slides."""

    #: Share of a slide's time that its survey, search and judgement take, roughly; for the estimate only.
    _SHARES = (0.1, 0.4, 0.5)

    def __init__(self, n_slides: int, report: OnProgress) -> None:
        self._n, self._report = n_slides, report
        self._part = [0.0] * n_slides
        self._n_done = self._n_cells = 0

    def watch(self, index: int, run: Runner) -> Runner:
        """The runner, counting the chunks of slide `index` as they come back."""
        stages = iter(self._SHARES)

        def counted(function: Callable[[Any], Any], chunks: Any, /) -> Iterator[Any]:
            todo = list(chunks)
            share = next(stages) / max(1, len(todo))
            for outcome in run(function, todo):
                self._part[index] += share
                self._say()
                yield outcome

        return counted

    def finish(self, index: int, result: SlideResult) -> None:
        self._part[index] = 1.0
        self._n_done += 1
        self._n_cells += len(result.cells)
        self._say()

    def _say(self) -> None:
        self._report(sum(self._part), self._n, f"{self._n_done} of {self._n} slides, {self._n_cells:,} cells")
