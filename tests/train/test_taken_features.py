"""A member of the blast ensemble may begin with the layers of a network that was taught other classes."""

from __future__ import annotations

import pytest
import torch

from smearscan.errors import SettingsError
from smearscan.models import create_model
from smearscan.train.blast import take_features


def small(n_classes: int, width: int = 4) -> torch.nn.Module:
    return create_model("cnn_cbam", n_classes, widths=[width], head="gap", hidden=4).eval()


def test_all_but_the_last_layer_is_taken() -> None:
    torch.manual_seed(0)
    model, other = small(2), small(5)
    last = {name: value.clone() for name, value in model.state_dict().items()}
    take_features(model, other)
    taken = {name for name, value in model.state_dict().items() if torch.equal(value, other.state_dict()[name])}
    kept = set(last) - taken
    assert len(kept) == 2
    assert all(torch.equal(model.state_dict()[name], last[name]) for name in kept)


def test_networks_that_differ_elsewhere_are_refused() -> None:
    with pytest.raises(SettingsError, match="more than their classes"):
        take_features(small(2), small(5, width=6))
