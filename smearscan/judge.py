"""The packages of a preset at work on cut cells: the differential first, then the blast ensemble."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from smearscan.classes import CellClass, blast_column
from smearscan.cut_cells import distinct_inputs, network_pictures, picture_key
from smearscan.errors import SettingsError
from smearscan.models import Package, infer, load_card, load_package
from smearscan.models.blast_pool import BlastPool
from smearscan.models.cards import Card
from smearscan.models.ensemble import disagreement, weighted_sum
from smearscan.models.explain import Attention, attention, fine_cam, has_attention
from smearscan.models.size_evidence import SizeEvidence
from smearscan.records import CellMask, Crop
from smearscan.settings import ClassifySettings
from smearscan.stain import Normaliser
from smearscan.verdict import Verdict, decide, not_outlined


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where a network looked at N cells, over the middle `window_um` of their crops, µm.

    `cams` (N, S, S) float32 0 to 1 is `fine_cam`'s; `attention` a WT-DFN's own, None of any other network.
    """

    cams: np.ndarray
    attention: Attention | None
    window_um: float


class Judge:
    """Judges cells; made by `load_judge`.

    Parameters
    ----------
    cell_types
        Members of the differential, of the same classes in the same order; the first one's card says how sure they
        must be.
    blasts
        Members of the blast ensemble; the first one's card holds the threshold.
    pool
        How their answers and the cell's size are put together.
    type_weights
        What each member of the differential counts; None: all alike.
    """

    def __init__(
        self,
        cell_types: Sequence[Package],
        blasts: Sequence[Package],
        pool: BlastPool,
        type_weights: Sequence[float] | None = None,
    ) -> None:
        from smearscan.models.fused import for_inference  # with it comes torch, which only who judges needs

        self._cell_types, self._blasts = (
            tuple(for_inference(package) for package in members) for members in (cell_types, blasts)
        )
        self._pool, self._lead, self._type_weights = pool, blasts[0], type_weights

    @property
    def coarsest_um_per_px(self) -> float:
        """µm per pixel beyond which a package refuses a slide."""
        return min(package.card.input.coarsest_um_per_px for package in self.packages)

    @property
    def is_shown_slides_stain(self) -> bool:
        """Whether the member whose attention is drawn sees colours that the slide's normaliser made."""
        return self._lead.card.input.stain == "slide"

    @property
    def packages(self) -> tuple[Package, ...]:
        """All networks as they run, the differential's first."""
        return *self._cell_types, *self._blasts

    def judge(
        self,
        crops: Sequence[Crop],
        masks: Sequence[CellMask],
        normaliser: Normaliser | None = None,
        name: str = "the slide",
        refuses_coarse: bool = True,
    ) -> list[Verdict]:
        """A verdict for every crop, in their order.

        Parameters
        ----------
        refuses_coarse
            False judges pictures that are coarser than a card allows too; the caller tells.

        Raises
        ------
        UnsupportedImageError
            If the slide is too coarse for a package.
        """
        asked = distinct_inputs([package.card for package in self.packages])
        pictures = network_pictures(asked, crops, masks, normaliser, name, refuses_coarse)
        return self.verdicts(pictures, [mask.area_um2 for mask in masks])

    def verdicts(self, pictures: Mapping[str, np.ndarray], areas_um2: Sequence[float]) -> list[Verdict]:
        """A verdict for every cell whose pictures are made already, in their order.

        A verdict depends on its own cell alone, whatever else is judged with it.

        Parameters
        ----------
        pictures
            (N, S, S, 3) uint8 under the `picture_key` of every card, with the channels that it asks for.
        areas_um2
            N areas of the whole cells, 0 where none was outlined.
        """
        if not areas_um2:
            return []
        told = np.stack([self._infer(package, pictures) for package in self._cell_types])
        types = weighted_sum(told, self._type_weights)
        members = np.stack([self._infer(package, pictures)[:, _blasts_of(package)] for package in self._blasts])
        blast = self._pool.probability(members, areas_um2)
        spread = disagreement(members[..., None])[:, 0]
        card, lead = self._cell_types[0].card, self._blasts[0].card
        least_sure, blast_from = card.thresholds[CellClass.UNIDENTIFIED], lead.thresholds[CellClass.BLAST]
        needs_outline = any(package.card.input.background == "black" for package in self._cell_types)
        is_shown = np.array(areas_um2) > 0 if needs_outline else [True] * len(areas_um2)
        return [
            decide(row, card.classes, b, s, least_sure, blast_from) if shown else not_outlined(b, s)
            for row, b, s, shown in zip(types, blast.tolist(), spread.tolist(), is_shown, strict=True)
        ]

    def explain(
        self, crops: Sequence[Crop], masks: Sequence[CellMask], normaliser: Normaliser | None = None
    ) -> Explanation:
        """Where the lead member of the blast ensemble looked for a blast."""
        lead = self._lead  # as it was loaded: gradients pass through it
        (images,) = network_pictures([lead.card.input], crops, masks, normaliser).values()
        own = attention(lead, images) if has_attention(lead) else None
        return Explanation(fine_cam(lead, images, _blasts_of(lead)), own, lead.card.input.window_um)

    @staticmethod
    def _infer(package: Package, pictures: Mapping[str, np.ndarray]) -> np.ndarray:
        return infer(package, pictures[picture_key(package.card.input)])


def _blasts_of(package: Package) -> int:
    """Column of the class that is the blasts, which each member may call and place as its own set did."""
    column = blast_column(package.card.classes)
    if column is None:
        raise SettingsError(
            f"package {package.name!r} has no class of blasts among {', '.join(package.card.classes)}", "choose another"
        )
    return column


def _must_say(package: Package, threshold: str) -> None:
    if threshold not in package.card.thresholds:
        raise SettingsError(
            f"the card of {package.name!r} does not say from which probability a cell is called {threshold}",
            f"write {threshold} = 0.5, or what was measured, under [thresholds]",
        )


def measured_digest(settings: ClassifySettings, cards: Sequence[Card] | None = None) -> str:
    """Sixteen hexadecimal digits of all that decides which cells are called blasts, and so how often wrongly.

    Parameters
    ----------
    settings
        Members and how they are put together.
    cards
        Of the members, the differential's first; None: those that are installed.
    """
    if cards is None:
        cards = [load_card(name) for name in (*settings.cell_type, *settings.blast)]
    # Neither decides what a cell is called.
    knobs = settings.model_dump(mode="json", exclude={"chunk_cells", "min_cell_focus"})
    told = {"summary", "validation", "training", "data", "figures", "not_for", "licence"}
    parts = [knobs, load_card("cellmask").sha256, [card.model_dump(mode="json", exclude=told) for card in cards]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=2)
def load_judge(settings: ClassifySettings) -> Judge:
    """The judge of a preset, loaded once a process.

    Raises
    ------
    WeightsError
        If a package is absent or altered.
    SettingsError
        If the ensemble's members and weights do not fit, or a package is not what it is chosen for.
    """
    pool = make_pool(settings)
    cell_types = [load_package(name) for name in settings.cell_type]
    blasts = [load_package(name) for name in settings.blast]
    for package in (*cell_types, *blasts):
        if package.card.input.takes != "cell":
            raise SettingsError(f"package {package.name!r} judges whole images, not cells", "choose another")
    for package in blasts:
        _blasts_of(package)
    first, weights = cell_types[0], settings.cell_type_weights
    if weights and len(weights) != len(cell_types):
        raise SettingsError("classify.cell_type and cell_type_weights differ in length", "give one weight a package")
    if strange := ", ".join(sorted(set(first.card.classes) - set(CellClass))):
        raise SettingsError(f"package {first.name!r} names no cells we know: {strange}", "choose another")
    for package in cell_types:
        if package.card.classes != first.card.classes:
            what = f"packages {first.name!r} and {package.name!r} name other cells, or in another order"
            raise SettingsError(what, "choose one of them")
    _must_say(blasts[0], CellClass.BLAST)
    _must_say(first, CellClass.UNIDENTIFIED)
    return Judge(cell_types, blasts, pool, weights or None)


def make_pool(settings: ClassifySettings) -> BlastPool:
    """How a preset puts the blast ensemble together.

    Raises
    ------
    SettingsError
        If members and weights do not fit, or the member that knows one laboratory is none of them.
    """
    if len(settings.blast) != len(settings.blast_weights):
        raise SettingsError("classify.blast and classify.blast_weights differ in length", "give one weight a package")
    if settings.blast_home and settings.blast_home not in settings.blast:
        raise SettingsError(f"classify.blast_home {settings.blast_home!r} is not in classify.blast", "name a member")
    size = SizeEvidence(settings.size_weight, settings.size_midpoint_um, settings.size_spread_um, settings.size_ceiling)
    return BlastPool(
        weights=settings.blast_weights,
        size=size,
        home=settings.blast.index(settings.blast_home) if settings.blast_home else None,
        offset=settings.blast_offset,
        silent=settings.blast_silent,
    )
