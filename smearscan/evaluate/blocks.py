"""Maps of a network's first and second block, before and after their attention.

Ullah et al. 2021, figure 8: what efficient channel attention changes. One picture a map: the mean over channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from smearscan.models.infer import BATCH_SIZE, standardise
from smearscan.models.packages import Package

if TYPE_CHECKING:
    from torch import Tensor, nn

#: First and second block of networks without attention, first pair that exists; `features` of the Inceptions begin
#: with their stem.
_PAIRS = (
    ("blocks.0", "blocks.1"),
    ("layer1", "layer2"),
    ("features.denseblock1", "features.denseblock2"),
    ("Mixed_5b", "Mixed_5c"),
    ("mixed_5b", "repeat"),
    ("features.5", "features.6"),
)
#: Where a network that is made of others keeps the one whose blocks are shown; WT-DFN's own Inceptions have no name.
_INSIDE = ("", "backbone.", "cnn.")
_BARE = ("backbone.5", "backbone.6")


def block_maps(package: Package, inputs: np.ndarray) -> Mapping[str, np.ndarray]:
    """Maps of inputs (N, S, S, 3) uint8, each (N, h, w) float32, by what they are.

    A network with attention gives "block 1 without attention" (what its first attention is given), "block 1 with
    attention" (what it hands on), and the same of block 2 where it has a second one; a plain network gives "block 1"
    and "block 2". Empty for a network whose blocks are not known.
    """
    watched = _attention(package.model)[:2]
    if watched:
        return _recorded(package, inputs, dict(enumerate(watched, start=1)), True)
    modules = dict(package.model.named_modules())
    pair = first_blocks(package.model)
    return _recorded(package, inputs, {i: modules[name] for i, name in enumerate(pair, start=1)}, False)


def first_blocks(model: nn.Module) -> tuple[str, ...]:
    """Names of a network's first and second block; empty where they are not known."""
    names = {name for name, _ in model.named_modules()}
    pairs = [(inside + first, inside + second) for inside in _INSIDE for first, second in _PAIRS]
    return next((pair for pair in (*pairs, _BARE) if names.issuperset(pair)), ())


def _as_map(features: Tensor) -> Tensor | None:
    """(N, C, h, w); a transformer's (N, 1 + h·w, C) without its class token; None of anything else."""
    if features.ndim == 4:
        return features
    side = int(max(0, features.shape[1] - 1) ** 0.5) if features.ndim == 3 else 0
    return features[:, -side * side :].transpose(1, 2).unflatten(2, (side, side)) if side else None


def _attention(model: nn.Module) -> list[nn.Module]:
    from smearscan.models.layers.cbam import CBAM
    from smearscan.models.layers.eca import Eca

    return [module for module in model.modules() if isinstance(module, CBAM | Eca)]


def _recorded(
    package: Package, inputs: np.ndarray, modules: Mapping[int, nn.Module], has_attention: bool
) -> dict[str, np.ndarray]:
    import torch

    found: dict[str, list[np.ndarray]] = {}
    n_batches = 0

    def keep(name: str, features: Tensor) -> None:
        kept = found.setdefault(name, [])
        # WT-DFN looks three times at a batch; the first is the image as it is.
        if len(kept) < n_batches and (square := _as_map(features)) is not None:
            kept.append(square.float().mean(1).cpu().numpy())

    hooks = []
    for i, module in modules.items():
        after = f"block {i} with attention" if has_attention else f"block {i}"
        hooks.append(module.register_forward_hook(lambda _m, _given, out, name=after: keep(name, out)))
        if has_attention:
            before = f"block {i} without attention"
            hooks.append(module.register_forward_pre_hook(lambda _m, given, name=before: keep(name, given[0])))
    try:
        with torch.inference_mode():
            for start in range(0, len(inputs) if modules else 0, BATCH_SIZE):
                part = inputs[start : start + BATCH_SIZE]
                batch = np.zeros((BATCH_SIZE, *part.shape[1:]), part.dtype)
                batch[: len(part)] = part
                where = next(package.model.parameters()).device
                n_batches += 1
                package.model(standardise(torch.from_numpy(batch).to(where), package.card.input))
    finally:
        for hook in hooks:
            hook.remove()
    # In the order of the network: without before with, block 1 before block 2.
    order = sorted((name for name, kept in found.items() if kept), key=lambda name: (name[:7], "without" not in name))
    return {name: np.concatenate(found[name])[: len(inputs)] for name in order}
