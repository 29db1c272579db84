"""Pictures of what a network looks at, of a few images of each class: `smearscan explain`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smearscan.cut_cells import picture_key
from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError, SettingsError
from smearscan.evaluate.blocks import block_maps
from smearscan.evaluate.embedding import LEAST, draw_map, embeddings, lay_out
from smearscan.evaluate.inputs import make_inputs
from smearscan.evaluate.models import Model, load_models
from smearscan.evaluate.reconcile import Agreement, reconcile
from smearscan.evaluate.tables import Cell, write_csv
from smearscan.models.explain import attention, grad_cam, has_attention
from smearscan.report.atomic import make_folder, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL_IN = 1.35


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Images as a network is shown them, with what it says.

    `inputs` (N, S, S, 3) uint8; `called` the class of each, N names.
    """

    samples: tuple[Sample, ...]
    inputs: np.ndarray
    called: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """What was drawn of one model, and which images could not be read."""

    name: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    failed: tuple[str, ...]


def explain(
    given: Sequence[str],
    data: Path,
    out: Path,
    *,
    set_name: str | None = None,
    per_class: int = 3,
    on_map: int = 600,
    seed: int = 0,
) -> list[Explained]:
    """Draw models' attention, below `out` in one folder a model.

    Parameters
    ----------
    per_class
        Images of each class that are drawn, evenly over the class.
    on_map
        Images on the map of embeddings at most, the same of each class; 0 draws none.

    Raises
    ------
    SmearscanError
        If a model or the set cannot be used.
    """
    models = [model for name in given for model in load_models(name)]
    sample_set = load_set(set_name or ("csv" if data.is_file() else "folder"), data)
    few = evenly(sample_set, per_class)
    many = evenly(sample_set, on_map // max(1, len(sample_set.classes)))
    return [_explained(model, sample_set, few, many, out / model.name, seed) for model in models]


def evenly(sample_set: SampleSet, per_class: int) -> tuple[Sample, ...]:
    """So many samples of each class, evenly over their order: the same each time, and not all neighbours."""
    out: list[Sample] = []
    for label in sample_set.classes:
        of_class = [sample for sample in sample_set.samples if sample.label == label]
        at = np.unique(np.linspace(0, len(of_class) - 1, min(per_class, len(of_class))).round().astype(int))
        out += [of_class[i] for i in at]
    return tuple(out)


def _explained(
    model: Model, sample_set: SampleSet, few: Sequence[Sample], many: Sequence[Sample], folder: Path, seed: int
) -> Explained:
    make_folder(folder)
    shown, failed = _show(model, sample_set, few)
    columns = {"image": shown.inputs, "Grad-CAM": _overlaid(shown.inputs, grad_cam(model.package, shown.inputs))}
    _draw(folder / "gradcam.png", shown, columns)
    files, notes = ["gradcam.png"], []
    if has_attention(model.package):
        _draw_attention(folder / "attention.png", model, shown)
        files.append("attention.png")
    maps = block_maps(model.package, shown.inputs)
    if maps:
        _draw(folder / "blocks.png", shown, {"image": shown.inputs, **maps})
        files.append("blocks.png")
    else:
        notes.append(f"first and second block of {model.card.network} are not known: no feature maps")
    if many:
        more, unread = _show(model, sample_set, many)
        failed += unread
        files += _map(folder, model, more, sample_set.classes, seed, notes)
    return Explained(model.name, tuple(files), tuple(notes), tuple(dict.fromkeys(failed)))


def _show(model: Model, sample_set: SampleSet, samples: Sequence[Sample]) -> tuple[Shown, list[str]]:
    kept: list[Sample] = []
    inputs: list[np.ndarray] = []
    failed: list[str] = []
    made = make_inputs([model.card.input], sample_set, samples)[picture_key(model.card.input)]
    for sample, picture in zip(samples, made, strict=True):
        if isinstance(picture, np.ndarray):
            kept.append(sample)
            inputs.append(picture)
        else:
            failed.append(f"{sample.path}: {picture}")
    if not inputs:
        raise DatasetError(f"{sample_set.root}: no image could be read", "see smearscan data check")
    stacked = np.stack(inputs)
    called = model.probabilities(stacked).argmax(1)
    return Shown(tuple(kept), stacked, tuple(model.card.classes[i] for i in called)), failed


def _overlaid(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) uint8: the image, warmer where the map (N, S, S) 0 to 1 is larger."""
    import matplotlib as mpl

    colours = mpl.colormaps["inferno"](maps)[..., :3]
    weight = 0.65 * maps[..., None]
    return np.round(images * (1 - weight) + 255 * colours * weight).astype(np.uint8)


def _draw_attention(path: Path, model: Model, shown: Shown) -> None:
    found = attention(model.package, shown.inputs)
    erased = np.where(found.erased[..., None], 0, shown.inputs)
    columns = {"image": shown.inputs, "attention": _overlaid(shown.inputs, found.maps), "erase": erased}
    crop = np.stack([_cropped(rgb, box.x, box.y, box.right, box.bottom)
                     for rgb, box in zip(shown.inputs, found.boxes, strict=True)])  # fmt: skip
    boxes = [(box.x, box.y, box.width, box.height) for box in found.boxes]
    _draw(path, shown, {**columns, "crop": crop}, boxes)


def _cropped(rgb: np.ndarray, x: int, y: int, right: int, bottom: int) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(rgb[y:bottom, x:right], rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _draw(
    path: Path, shown: Shown, columns: Mapping[str, np.ndarray], boxes: Sequence[tuple[int, int, int, int]] = ()
) -> None:
    """A grid: one row an image, one column a map; boxes on the second column."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    n = len(shown.samples)
    figure = Figure(figsize=(_CELL_IN * len(columns) + 0.9, _CELL_IN * n + 0.3), layout="constrained", dpi=110)
    grid = figure.subplots(n, len(columns), squeeze=False)
    for x, (name, pictures) in enumerate(columns.items()):
        for y in range(n):
            _picture(grid[y, x], pictures[y])
            if x == 1 and boxes:
                left, top, width, height = boxes[y]
                grid[y, x].add_patch(Rectangle((left, top), width, height, fill=False, ec="lime", lw=1.2))
        grid[0, x].set_title(name, fontsize=7)
    for y, (sample, called) in enumerate(zip(shown.samples, shown.called, strict=True)):
        grid[y, 0].set_ylabel(f"{sample.label}\ncalled {called}", fontsize=6)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_bytes(path, picture.getvalue())


def _picture(axes: Axes, pixels: np.ndarray) -> None:
    axes.set(xticks=[], yticks=[])
    if pixels.ndim == 3:
        axes.imshow(pixels)
    else:
        axes.imshow(pixels, cmap="viridis")


def _group_of(called: str, agreement: Agreement) -> str:
    """The agreed class that a class of the model belongs to."""
    return next(name for name, members in agreement.groups.items() if called in members)


def _map(folder: Path, model: Model, shown: Shown, classes: Sequence[str], seed: int, notes: list[str]) -> list[str]:
    """The map of embeddings as picture and table."""
    if len(shown.samples) < LEAST:
        notes.append(f"fewer than {LEAST} images: no map of embeddings")
        return []
    places = lay_out(embeddings(model.package, shown.inputs), seed)
    wrong = np.zeros(len(shown.samples), bool)
    try:
        agreement = reconcile(classes, model.card.classes, model.name)
        wrong[:] = [
            agreement.label_of.get(sample.label, "") != _group_of(called, agreement)
            for sample, called in zip(shown.samples, shown.called, strict=True)
        ]
    except SettingsError as error:
        notes.append(f"the map marks no errors: {error.what}")
    labels = [sample.label for sample in shown.samples]
    draw_map(folder / "map.svg", places, labels, wrong, f"embeddings of {model.name}, {len(labels)} images, by label")
    rows: list[list[Cell]] = [
        [sample.path, sample.label, called, float(x), float(y)]
        for sample, called, (x, y) in zip(shown.samples, shown.called, places, strict=True)
    ]
    write_csv(folder, "map", ["path", "label", "predicted", "x", "y"], rows)
    return ["map.svg", "map.csv"]
