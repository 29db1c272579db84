"""The list for people holds every network."""

from __future__ import annotations

from smearscan.models import list_models
from smearscan.models.overview import network_rows


def test_every_network_has_a_line_with_its_size_input_and_paper() -> None:
    rows = network_rows()
    assert [row[0] for row in rows] == list_models()
    by_key = {row[0]: row[1:] for row in rows}
    assert by_key["vgg16_eca"][:2] == ("134.27 M", "224 px")
    assert by_key["wtdfn_seresnext50"][:2] == ("25.71 M", "300 px")
    assert "Liu 2022" in by_key["wtdfn_seresnext50"][2]
