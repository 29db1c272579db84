"""Where a network looked: Grad-CAM for every one, attention maps with crop and erase boxes for WT-DFN.

Selvaraju et al. 2017 (https://doi.org/10.1109/ICCV.2017.74); Liu et al. 2022 for WT-DFN. Always float32 and in one
batch shape, so that a cell's map does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smearscan.geometry import Box
from smearscan.models.infer import standardise
from smearscan.models.packages import Package
from smearscan.models.registry import network_spec

if TYPE_CHECKING:
    from torch import Tensor, nn


#: Images a pass: a patient has few that matter, and a lone one costs as much as all of a pass.
_BATCH_SIZE = 8
#: A coarser map says nothing of where in a cell a network looked: 2×2 is all that is left of 64 px at the end.
_LEAST_MAP_PX = 4


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """WT-DFN's attention over (N, S, S) images.

    `maps` (N, S, S) float32 0 to 1; `boxes` N boxes in input px that the crop stream zooms into; `erased` (N, S, S)
    bool, what the erase stream blacks out. A flat map erases nothing and its box is the whole image.
    """

    maps: np.ndarray
    boxes: tuple[Box, ...]
    erased: np.ndarray


def grad_cam(package: Package, images: np.ndarray, class_index: int | None = None) -> np.ndarray:
    """Grad-CAM of the network's last feature map.

    Parameters
    ----------
    package
        From `load_package`.
    images
        (N, S, S, 3) as `infer` takes them.
    class_index
        Column to explain; None explains each image's most probable class.

    Returns
    -------
    np.ndarray
        (N, S, S) float32, each map's largest value 1; all 0 where nothing speaks for the class.
    """
    layer = network_spec(package.card.network).cam_layer
    maps = [_cam(package.model, x, layer, class_index).cpu().numpy() for x in _batches(package, images)]
    return _joined(maps, images)


def fine_cam(package: Package, images: np.ndarray, class_index: int | None = None) -> np.ndarray:
    """Grad-CAM of the last layer that still shows parts of a small image; arguments and result as of `grad_cam`."""
    model, last = package.model, network_spec(package.card.network).cam_layer
    maps, layer = [], ""
    for x in _batches(package, images):
        layer = layer or _fine_layer(model, last, x[:1])  # one image tells how wide the maps of all are
        maps.append(_cam(model, x, layer, class_index).cpu().numpy())
    return _joined(maps, images)


def has_attention(package: Package) -> bool:
    """Whether `attention` knows the network: a `wtdfn_*`."""
    return package.card.network.startswith("wtdfn_")


def attention(package: Package, images: np.ndarray) -> Attention:
    """Attention maps and boxes of a `wtdfn_*` package over images (N, S, S, 3).

    Raises
    ------
    ValueError
        If the package is of another network.
    """
    import torch

    from smearscan.models.networks.wtdfn import WtDfn

    model = package.model
    if not isinstance(model, WtDfn):
        raise ValueError(
            f"package {package.name!r} is a {package.card.network}, which has no attention maps of its own"
        )
    maps, boxes = [], []
    with torch.inference_mode():
        for x in _batches(package, images):
            view = model.look(x, model.classify(x)[1])
            maps.append(view.attention.cpu().numpy())
            boxes.append(view.boxes.cpu().numpy())
    joined = _joined(maps, images)
    corners = np.concatenate(boxes)[: len(images)].astype(int).tolist() if boxes else []
    found = tuple(Box(x, y, right - x, bottom - y) for x, y, right, bottom in corners)
    return Attention(joined, found, joined >= model.threshold)


def feature_maps(package: Package, images: np.ndarray, layer: str) -> np.ndarray:
    """Output (N, C, h, w) float32 of the layer of this dotted name, such as `blocks.0` of `cnn_cbam`."""
    import torch

    out = []
    with torch.inference_mode():
        for x in _batches(package, images):
            out.append(_watch(package.model, layer, x)[0].float().cpu().numpy())
    return np.concatenate(out)[: len(images)]


def _batches(package: Package, images: np.ndarray) -> Iterator[Tensor]:
    import torch

    device = next(package.model.parameters()).device
    for start in range(0, len(images), _BATCH_SIZE):
        part = images[start : start + _BATCH_SIZE]
        batch = np.zeros((_BATCH_SIZE, *part.shape[1:]), part.dtype)
        batch[: len(part)] = part
        yield standardise(torch.from_numpy(batch).to(device), package.card.input)


def _watch(model: nn.Module, layer: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output of a layer and logits. WT-DFN is watched on its raw stream."""
    from smearscan.models.networks.wtdfn import WtDfn

    seen: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.append(out))
    try:
        logits = model.classify(x)[0] if isinstance(model, WtDfn) else model(x)
    finally:
        hook.remove()
    return seen[0], logits


def _fine_layer(model: nn.Module, last: str, x: Tensor) -> str:
    """`last` if its map is wide enough, else the last layer before it whose map is."""
    import torch
    from torch import Tensor

    wide: list[str] = []

    def told(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _given: object, out: object) -> None:
            if isinstance(out, Tensor) and out.ndim >= 3 and min(_as_map(out).shape[1:]) >= _LEAST_MAP_PX:
                wide.append(name)

        return note

    hooks = [module.register_forward_hook(told(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            _watch(model, last, x)
    finally:
        for hook in hooks:
            hook.remove()
    return last if last in wide or not wide else wide[-1]


def _cam(model: nn.Module, x: Tensor, layer: str, class_index: int | None) -> Tensor:
    import torch

    with torch.enable_grad():
        # The weights are frozen; without a gradient at the input nothing would be recorded.
        features, logits = _watch(model, layer, x.requires_grad_(True))
        chosen = logits.argmax(1) if class_index is None else torch.full((len(x),), class_index, device=x.device)
        (slope,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), features)
    features, slope = _as_map(features.detach()), _as_map(slope)
    cam = (slope.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).relu()
    cam = torch.nn.functional.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    top = cam.amax((1, 2), keepdim=True)
    return torch.where(top > 0, cam / top.clamp_min(torch.finfo(cam.dtype).tiny), 0.0)


def _as_map(features: Tensor) -> Tensor:
    """(N, C, h, w) as it is; a transformer's (N, 1 + h·w, C) without its class token, as a square map."""
    if features.ndim == 4:
        return features
    side = int((features.shape[1] - 1) ** 0.5)
    return features[:, -side * side :].transpose(1, 2).unflatten(2, (side, side))


def _joined(maps: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    if not maps:
        return np.zeros(images.shape[:3], np.float32)
    return np.concatenate(maps)[: len(images)].astype(np.float32)
