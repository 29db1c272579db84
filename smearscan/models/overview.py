"""Every network in one line, for people: `smearscan models list`."""

from __future__ import annotations

from smearscan.models.packages import list_packages, list_shipped, load_card
from smearscan.models.registry import count_parameters, list_models, network_spec


def network_rows(n_classes: int = 2) -> list[tuple[str, str, str, str]]:
    """Key, parameters in millions with `n_classes` classes, input side, paper of every network of the registry."""
    rows = []
    for key in list_models():
        spec = network_spec(key)
        millions = count_parameters(key, n_classes) / 1e6
        rows.append((key, f"{millions:.2f} M", f"{spec.input_px} px", spec.paper))
    return rows


def other_cards() -> list[tuple[str, str]]:
    """Name and task of what is trained and is no classifier, sorted: detector and mask network."""
    classifiers = list_packages()
    return [(name, str(load_card(name).model_dump()["task"])) for name in list_shipped() if name not in classifiers]
