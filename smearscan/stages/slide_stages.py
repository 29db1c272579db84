"""The stages of a slide: each takes a job, makes its artefact where nobody made it before, and says what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from smearscan.errors import SlideError
from smearscan.models.infer import BATCH_SIZE
from smearscan.pipeline import (
    Chunk,
    Outcome,
    SlidePlan,
    classify_cells,
    crop_chunk,
    finish_slide,
    judge_chunks,
    plan_slide,
    search_chunk,
    search_chunks,
)
from smearscan.records import Detection, SlideSource, images_lost
from smearscan.slide.content import content_digest
from smearscan.slide.discover import is_folder
from smearscan.stages import encode, keys
from smearscan.stages.job import Job, NewChunk, Product
from smearscan.stages.stamps import stamp_images
from smearscan.store.state import State


class ReplacedError(SlideError):
    """A slide's file changed while it was being screened."""


@dataclass(frozen=True, slots=True)
class CellSet:
    """Detections that are cut together, on the image of that place in the plan."""

    field: int
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class CellSets:
    """All sets of a slide."""

    sets: tuple[CellSet, ...]

    @classmethod
    def of(cls, plan: SlidePlan, chunks: Sequence[Chunk]) -> CellSets:
        """The detections of chunks."""
        return cls(tuple(CellSet(plan.survey.fields.index(chunk.field), chunk.detections) for chunk in chunks))


@lru_cache(maxsize=8)
def _cell_sets(state: State, key: str) -> CellSets:
    return encode.load(CellSets, state.artefacts.get(key))


def survey(job: Job) -> Product:
    """Read the slide's files once for their content, then plan: what is readable, where to look, its stain."""
    source = _source(job)
    stamp = stamp_images(source.paths)
    if job.stamp is not None and not _is_same(stamp, job.stamp):
        # A run stands for the files that were handed in: somebody else's scan must not be judged under this patient.
        raise ReplacedError(
            f"{source.path} was replaced, or went on being written, after it was submitted",
            "see whether it is the right one, then retry",
        )
    # A link that leads nowhere and a folder that cannot be listed have no content: they are left out by name.
    is_there = {str(file) for file, *_ in stamp}
    files = {path: content_digest(path) if path in is_there and not is_folder(path) else "" for path in source.paths}
    key = keys.survey_key(source, files, job.settings)

    def work() -> bytes:
        plan = plan_slide((source, job.settings))
        if not all(files[field.path] for field in plan.survey.fields):
            raise _replaced_meanwhile(source)
        return encode.dump_plan(encode.StoredPlan(plan, files))

    made, is_reused = job.make(key, work)
    refuse_replaced(source, stamp)
    plan = encode.load_plan(made).plan
    searches = search_chunks(plan, job.settings)
    follow = [NewChunk("search", {"survey": key}, place, len(chunk.tiles)) for place, chunk in enumerate(searches)]
    return Product(key, follow or [NewChunk("gather", {"survey": key, "search": []})], max(1, len(follow)),
                   is_reused=is_reused, stamp=stamp,
                   loss=images_lost(len(plan.survey.fields), plan.survey.left_out))  # fmt: skip


def search(job: Job) -> Product:
    """Find the leukocytes of some tiles."""
    stored = job.plan()
    chunk = search_chunks(stored.plan, job.settings)[job.claim.place]
    key = keys.search_key(chunk, stored.files[chunk.field.path])

    def work() -> bytes:
        with _unchanged(job):
            return encode.dump(search_chunk(chunk))

    _, is_reused = job.make(key, work)
    return Product(key, is_counted=True, is_reused=is_reused)


def gather(job: Job) -> Product:
    """Each cell once, near ones together, in sets."""
    searched = list(job.claim.task["search"])
    stored = job.plan()
    key = keys.gather_key(job.claim.task["survey"], searched, job.settings)

    def work() -> bytes:
        outcomes = [encode.load(Outcome, job.get(part)) for part in searched]
        return encode.dump(CellSets.of(stored.plan, judge_chunks(stored.plan, job.settings, outcomes)))

    made, is_reused = job.make(key, work)
    sets = encode.load(CellSets, made).sets
    survey = job.claim.task["survey"]
    task = {"survey": survey, "gather": key}
    follow = [NewChunk("crop", task, place, len(cells.detections)) for place, cells in enumerate(sets)]
    if not follow:
        follow = [NewChunk("finish", {"survey": survey, "search": searched, "classify": []})]
    n_cells = sum(len(cells.detections) for cells in sets)
    return Product(key, follow, len(follow), is_reused=is_reused, n_cells=n_cells)


def crop(job: Job) -> Product:
    """Cut and measure a set of cells, and make the pictures that the networks ask for."""
    chunk, key = _cut(job)

    def work() -> bytes:
        with _unchanged(job):
            return encode.dump_cells(crop_chunk(chunk))

    _, is_reused = job.make(key, work)
    pool = keys.judge_digest(job.settings.classify)
    return Product(key, [NewChunk("classify", {"crop": key}, job.claim.place, job.claim.n_items, pool)],
                   is_reused=is_reused)  # fmt: skip


def classify(jobs: Sequence[Job]) -> list[Product]:
    """Judge sets of cells of any slides together."""
    settings = jobs[0].settings
    names = [keys.classify_key(job.claim.task["crop"], job.settings.classify) for job in jobs]
    artefacts = jobs[0].state.artefacts
    absent = [place for place, key in enumerate(names) if not artefacts.has(key)]
    cut = [encode.load_cells(jobs[place].get(jobs[place].claim.task["crop"])) for place in absent]
    for place, outcome in zip(absent, classify_cells(cut, settings), strict=True):
        artefacts.put(names[place], encode.dump(outcome))
    n_slots = -(-sum(len(cells) for cells in cut) // BATCH_SIZE) * BATCH_SIZE
    return [
        Product(key, is_counted=True, is_reused=place not in absent, n_slots=n_slots if place == 0 else 0)
        for place, key in enumerate(names)
    ]


def finish(job: Job) -> Product:
    """The slide's record."""
    task = job.claim.task
    searched, judged = task["search"], task["classify"]
    # The plan may have been made for another submission of the same files: slide and patient are this one's.
    plan = replace(job.plan().plan, source=_source(job))
    key = keys.finish_key(task["survey"], plan, searched, judged)

    def work() -> bytes:
        outcomes = [encode.load(Outcome, job.get(part)) for part in (*searched, *judged)]
        return encode.dump(finish_slide(plan, outcomes))

    _, is_reused = job.make(key, work)
    return Product(key, is_reused=is_reused)


def _source(job: Job) -> SlideSource:
    if job.source is None:
        raise TypeError(f"chunk {job.claim.id} of stage {job.claim.stage} has no slide")
    return job.source


def _cut(job: Job) -> tuple[Chunk, str]:
    stored = job.plan()
    cells = _cell_sets(job.state, job.claim.task["gather"]).sets[job.claim.place]
    plan = stored.plan
    chunk = Chunk(plan.survey.fields[cells.field], plan.normaliser, job.settings, detections=cells.detections)
    normaliser = encode.normaliser_table(stored.plan.normaliser)
    return chunk, keys.crop_key(chunk, stored.files[chunk.field.path], normaliser)


@contextmanager
def _unchanged(job: Job) -> Iterator[None]:
    """Refuse a slide whose files are not, or are no longer, those that were surveyed."""
    source = _source(job)
    if job.stamp is not None:
        refuse_replaced(source, job.stamp)
    yield
    if job.stamp is not None:
        refuse_replaced(source, job.stamp)


def refuse_replaced(source: SlideSource, stamp: list[Any]) -> None:
    """Raise `ReplacedError` where a slide's files are not what they were."""
    if not _is_same(stamp_images(source.paths), stamp):
        raise _replaced_meanwhile(source)


def _replaced_meanwhile(source: SlideSource) -> ReplacedError:
    return ReplacedError(
        f"{source.path} was replaced while it was being screened", "let it be written to its end, then retry"
    )


def _is_same(stamp: Sequence[Sequence[Any]], other: Sequence[Sequence[Any]]) -> bool:
    """Whether stamps are of the same files; the same share tells one machine times in 1 ns and another in 100 ns."""

    def coarse(of: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        return [(path, size, changed // 1000) for path, size, changed in of]

    return coarse(stamp) == coarse(other)
