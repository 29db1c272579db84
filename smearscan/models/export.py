"""The same network in OpenVINO: on a CPU it answers sooner than torch, with the same outputs within 1e-3.

OpenVINO is not installed with the package; where it is, `accelerate` swaps the network of a package for its compiled
twin and everything else (standardisation, batch shape, temperature) stays as it was. Explanations need the original.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from smearscan.errors import SettingsError
from smearscan.models.infer import BATCH_SIZE
from smearscan.models.packages import Package
from smearscan.resources import has_native_bfloat16

if TYPE_CHECKING:
    import openvino

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoNetwork(nn.Module):
    """A compiled network behind torch's interface; it takes one batch shape only.

    Parameters
    ----------
    compiled
        OpenVINO's compiled model for (`BATCH_SIZE`, 3, S, S).
    """

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, x: Tensor) -> Tensor:
        """Logits (BATCH_SIZE, C) float32 of standardised images (BATCH_SIZE, 3, S, S)."""
        return torch.from_numpy(self.compiled(x.float().cpu().contiguous().numpy())[0].copy())


def accelerate(
    package: Package, *, precision: Literal["auto", "float32", "bfloat16"] = "auto", threads: int | None = None
) -> Package:
    """A package whose network runs in OpenVINO on the CPU.

    Parameters
    ----------
    package
        From `load_package`, its network on the CPU.
    precision
        "auto" multiplies in bfloat16 where the processor does so natively, else in float32.
    threads
        Threads of the runtime; None leaves it to OpenVINO. The answer does not depend on it.

    Raises
    ------
    SettingsError
        If OpenVINO is not installed or cannot express the network.
    """
    openvino = _openvino()
    side = package.card.input.side_px
    example = torch.zeros(BATCH_SIZE, 3, side, side)
    try:
        with warnings.catch_warnings():
            # The tracer warns that it records sizes as constants; one batch shape is what we want.
            warnings.simplefilter("ignore")
            converted = openvino.convert_model(package.model, example_input=example, input=[list(example.shape)])
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        reason = str(error).strip().splitlines()[-1]
        raise SettingsError(
            f"OpenVINO cannot express {package.card.network!r}: {reason}", "run the package without it"
        ) from error
    if precision == "auto":
        precision = "bfloat16" if has_native_bfloat16() else "float32"
    config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "NUM_STREAMS": 1}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    return Package(OpenVinoNetwork(openvino.Core().compile_model(converted, "CPU", config)), package.card)


def _openvino() -> ModuleType:
    """OpenVINO without its telemetry, which reports over the network as soon as it is imported."""
    # None makes its import fail; OpenVINO then takes the silent stand-in it brings along.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
        import openvino.frontend
    except ImportError as error:
        raise SettingsError("OpenVINO is not installed", "install openvino, or run the package without it") from error
    return openvino
