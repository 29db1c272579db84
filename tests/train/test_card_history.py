"""A card tells every cycle of training that its network went through."""

from __future__ import annotations

from smearscan.train.fit import Recipe
from smearscan.train.history import training_told


def test_a_cycle_stands_behind_those_before_it_and_what_was_said_of_the_old_weights_is_gone() -> None:
    first = training_told("train", Recipe(steps=300, seed=1), {}, "from scratch")
    both = training_told("train", Recipe(steps=200, rate=1e-3, seed=2), first | {"shown": "22 µm", "fell": "0.9"})
    assert first["cycles"] == "300 of 96 cells at a rate of 0.003, seed 1, from scratch"
    assert both["cycles"] == f"{first['cycles']}; 200 of 96 cells at a rate of 0.001, seed 2"
    assert (both["steps"], both["seed"], both["shown"]) == (500, 2, "22 µm")
    assert "fell" not in both
