"""The subtype package: which fields look like what, whatever was done to the files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from smearscan.datasets.files import read_image
from smearscan.models.field_subtypes import field_subtypes, subtype_card
from smearscan.models.packages import list_packages, weights_path

CLASSES = ("Benign", "Early", "Pre", "Pro")


def test_the_package_is_installed_and_its_classes_are_the_folders_names() -> None:
    assert "subtype" in list_packages()
    card = subtype_card()
    assert card.classes == CLASSES and card.input.takes == "image" and card.input.side_px <= 128
    assert weights_path("subtype").stat().st_size < 10_000_000


def test_shares_of_fields_sum_to_one_and_do_not_depend_on_the_company() -> None:
    rng = np.random.default_rng(0)
    fields = [rng.integers(120, 255, (n, n + 7, 3), dtype=np.uint8) for n in (80, 224, 300)]
    together, alone = field_subtypes(fields), [field_subtypes([field]) for field in fields]
    assert sum(together.shares.values()) == pytest.approx(1, abs=1e-5)
    for name in CLASSES:
        assert together.shares[name] == pytest.approx(np.mean([one.shares[name] for one in alone]), abs=1e-6)
    assert together.n_fields == 3 and 0 <= together.n_agreeing <= 3
    assert together.likeliest == max(together.shares, key=together.shares.__getitem__)


def test_no_field_is_refused() -> None:
    with pytest.raises(ValueError, match="no field"):
        field_subtypes([])


@pytest.mark.parametrize("name", CLASSES)
def test_fields_of_the_laboratory_are_known_again_rescaled_and_saved_anew(shared_data: Path, name: str) -> None:
    paths = sorted((shared_data / "taleqani" / name).glob("*.jpg"))[::60][:8]
    fields = [read_image(path) for path in paths]
    halved = [cv2.resize(field, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for field in fields]
    saved = [cv2.imdecode(cv2.imencode(".jpg", half, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], 1) for half in halved]
    assert field_subtypes(fields).likeliest == name
    assert field_subtypes(saved).likeliest == name
