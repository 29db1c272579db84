"""A trained network as it is run on a processor: batch norms folded away, kernels kept as they are multiplied.

The same function but for rounding. Folding a norm into the convolution before it saves two passes over every feature
map; kernels kept in bfloat16 need not be converted for every batch; and activation and pooling compare bit patterns
as integers, which is several times faster than comparing bfloat16 and gives the same. Gradients do not pass:
explanations and training take the network as it was loaded.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError
from torch.nn import functional

from smearscan.models.packages import Package
from smearscan.resources import has_native_bfloat16


def for_inference(package: Package) -> Package:
    """The package with its network rearranged for `infer` on this processor.

    A network whose course depends on what it sees, or that chooses its own precision, cannot be rearranged and comes
    back as it is: slower, with the same answers.
    """
    try:
        # The tracer follows the attributes of what it is given, so that it must not be the caller's network.
        network = cast(GraphModule, fuse(copy.deepcopy(package.model), no_trace=False))
    except (TraceError, ValueError):  # the second from a device or a precision that is chosen on the way
        return package
    is_bfloat16 = has_native_bfloat16() and not torch.cuda.is_available()
    if is_bfloat16:
        _keep_as_multiplied(network)
    return Package(network.eval().requires_grad_(False).to(memory_format=torch.channels_last), package.card)


class _BitwiseReLU(nn.Module):
    """ReLU by comparing patterns: a negative number's sign bit makes its pattern a negative integer.

    Parameters
    ----------
    is_in_place
        Whether it may write over what it is given, which nobody else reads: maps leave the cache less often.
    """

    def __init__(self, is_in_place: bool) -> None:
        super().__init__()
        self._is_in_place = is_in_place

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16:
            return x.relu()
        bits = x.view(torch.int16)
        return (bits.clamp_min_(0) if self._is_in_place else bits.clamp_min(0)).view(torch.bfloat16)


class _BitwiseMaxPool(nn.Module):
    """Maximum over 2×2 of what a ReLU left: without signs, patterns order as their numbers do."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16:
            return functional.max_pool2d(x, 2)
        height, width = x.shape[2:]
        whole = x.permute(0, 2, 3, 1).view(torch.int16)[:, : height // 2 * 2, : width // 2 * 2]
        pairs = whole.unflatten(1, (-1, 2)).unflatten(3, (-1, 2))
        rows = torch.maximum(pairs[:, :, 0], pairs[:, :, 1])
        return torch.maximum(rows[:, :, :, 0], rows[:, :, :, 1]).view(torch.bfloat16).permute(0, 3, 1, 2)


def _keep_as_multiplied(network: GraphModule) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
    called = _called(network)
    shared = {node.target for node in called if not _alone_reads_a_convolution(node, called)}
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU):
            network.set_submodule(name, _BitwiseReLU(is_in_place=name not in shared))
    called = _called(network)
    elsewhere = {
        node.target
        for node in called
        if not all(isinstance(called.get(before), _BitwiseReLU) for before in node.all_input_nodes)
    }
    for node, module in called.items():
        if isinstance(module, nn.MaxPool2d) and _halves(module) and node.target not in elsewhere:
            network.set_submodule(str(node.target), _BitwiseMaxPool())


def _called(network: GraphModule) -> dict[Node, nn.Module]:
    return {node: network.get_submodule(str(node.target)) for node in network.graph.nodes if node.op == "call_module"}


def _alone_reads_a_convolution(node: Node, called: dict[Node, nn.Module]) -> bool:
    return all(isinstance(called.get(before), nn.Conv2d) and len(before.users) == 1 for before in node.all_input_nodes)


def _halves(pool: nn.MaxPool2d) -> bool:
    plain = (pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    return pool.kernel_size in (2, (2, 2)) and pool.stride in (2, (2, 2)) and plain == (0, 1, False, False)
