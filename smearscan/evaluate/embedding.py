"""The map of a network's embeddings: what its last layer sees of each image, laid out by openTSNE.

van der Maaten and Hinton 2008; Poličar, Stražar and Zupan 2024 (https://doi.org/10.18637/jss.v109.i03). Neighbours on
the map are neighbours for the network; distances between far groups mean nothing.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smearscan.models.infer import BATCH_SIZE, standardise
from smearscan.models.packages import Package
from smearscan.report.atomic import write_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Neighbours that an image is laid out by; a third of the images where there are fewer.
_PERPLEXITY = 30.0
#: Fewer images have no neighbourhoods.
LEAST = 8
#: Dimensions kept before the map is made: the rest is noise, and time.
_DIMENSIONS = 50
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def embeddings(package: Package, inputs: np.ndarray) -> np.ndarray:
    """What the last dense layer is given, (N, D) float32, of inputs (N, S, S, 3) uint8.

    Raises
    ------
    ValueError
        If the network ends in no dense layer.
    """
    import torch

    model, out = package.model, []
    layer = _last_dense(model)
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    try:
        with torch.inference_mode():
            for start in range(0, len(inputs), BATCH_SIZE):
                part = inputs[start : start + BATCH_SIZE]
                batch = np.zeros((BATCH_SIZE, *part.shape[1:]), part.dtype)
                batch[: len(part)] = part
                seen.clear()
                model(standardise(torch.from_numpy(batch).to(next(model.parameters()).device), package.card.input))
                # WT-DFN looks three times; the first is the image as it is.
                out.append(seen[0].float().flatten(1).cpu().numpy()[: len(part)])
    finally:
        hook.remove()
    return np.concatenate(out)


def _last_dense(model: nn.Module) -> nn.Module:
    from torch import nn

    dense = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise ValueError("the network has no dense layer to take embeddings from")
    return dense[-1]


def lay_out(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places (N, 2) float of vectors (N, D), the same for the same seed.

    Raises
    ------
    ValueError
        If there are fewer than `LEAST` vectors.
    """
    from openTSNE import TSNE
    from sklearn.decomposition import PCA

    if len(vectors) < LEAST:
        raise ValueError(f"{len(vectors)} images have no neighbourhoods: give at least {LEAST}")
    n = min(_DIMENSIONS, len(vectors) - 1, vectors.shape[1])
    short = PCA(n, svd_solver="full").fit_transform(vectors.astype(np.float64))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    # Exact neighbours, one thread and Barnes-Hut: each approximate way draws otherwise on another machine.
    maker = TSNE(perplexity=perplexity, initialization="pca", neighbors="exact", negative_gradient_method="bh",
                 n_jobs=1, random_state=seed)  # fmt: skip
    return np.asarray(maker.fit(short), np.float64)


def draw_map(path: Path, places: np.ndarray, labels: list[str], wrong: np.ndarray, title: str) -> None:
    """One dot an image in its label's colour; a cross where the network calls it otherwise."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 5.0), layout="constrained")
    axes = figure.add_subplot()
    for i, name in enumerate(sorted(set(labels))):
        at = np.array([label == name for label in labels])
        colour = _COLOURS[i % len(_COLOURS)]
        right, others = places[at & ~wrong], places[at & wrong]
        axes.scatter(right[:, 0], right[:, 1], s=9, color=colour, lw=0, label=name or "(no label)")
        axes.scatter(others[:, 0], others[:, 1], s=16, color=colour, marker="x", lw=0.8)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    picture = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "smearscan", "svg.fonttype": "none"}):
        figure.savefig(picture, format="svg", metadata={"Date": None})
    write_bytes(path, picture.getvalue())
