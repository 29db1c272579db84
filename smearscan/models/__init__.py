"""Networks, trained packages and how they are run. Torch is loaded by the first call that needs it."""

from smearscan.models.cards import InputCard, ModelCard
from smearscan.models.infer import infer
from smearscan.models.packages import Package, list_packages, load_card, load_package, save_package
from smearscan.models.registry import count_parameters, create_model, list_models, network_spec

__all__ = [
    "InputCard",
    "ModelCard",
    "Package",
    "count_parameters",
    "create_model",
    "infer",
    "list_models",
    "list_packages",
    "load_card",
    "load_package",
    "network_spec",
    "save_package",
]
