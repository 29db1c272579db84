"""Networks, trained packages and how they are run. Torch is loaded by the first call that needs it."""

from smearscan.models.registry import count_parameters, create_model, list_models, network_spec

__all__ = ["count_parameters", "create_model", "list_models", "network_spec"]
