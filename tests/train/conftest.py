"""Drawn cells that every test of training may use."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from cnmc_stand_in import draw_cell

from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import SampleSet


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> SampleSet:
    """Forty drawn cells in two class folders."""
    root, rng = tmp_path_factory.mktemp("cells"), np.random.default_rng(0)
    for name in ("other", "blast"):
        (root / name).mkdir()
        for i in range(20):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), draw_cell(name == "blast", rng, 40))
    return load_set("folder", root)
