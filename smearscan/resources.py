"""Where the files that travel with the package are: configs and weights.

In a checkout `configs/` stands beside the package; in a wheel the build puts it inside.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def configs_folder() -> Path:
    """Folder of presets, model cards, recipes and thresholds."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def weights_folder() -> Path:
    """Folder of the shipped safetensors files."""
    return _PACKAGE / "models" / "weights"
