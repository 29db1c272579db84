"""What is trained in which stage: the whole network first, with FixRes its last layers at another resolution then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from smearscan.errors import SettingsError
from smearscan.models.cards import InputCard
from smearscan.train.recipes.recipe import Recipe


def stage_input(card: InputCard, recipe: Recipe, stage: int) -> InputCard:
    """A network's input while it trains (0), or while FixRes tunes its last layers at another resolution (1)."""
    if stage == 0 or recipe.fixres is None:
        return card
    side = recipe.fixres.side_px
    return card.model_copy(update={"side_px": side, "um_per_px": card.window_um / side})


class Streams(nn.Module):
    """A network as the loss sees it: (K, N, C) logits, K the streams of WT-DFN and 1 for all others."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._streams: Callable[[Tensor], Tensor] | None = getattr(model, "streams", None)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every stream."""
        logits: Tensor = self._streams(x) if self._streams is not None else self.model(x)[None]
        return logits


def is_tuned(name: str, layers: Sequence[str]) -> bool:
    """Whether a layer is one of those that FixRes tunes."""
    return name.startswith(tuple(layers))


def freeze(model: nn.Module, layers: Sequence[str]) -> None:
    """Leave a gradient to the parameters of these layers alone."""
    hit = False
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_tuned(name, layers))
        hit |= parameter.requires_grad
    if not hit:
        raise SettingsError(
            f"no layer of the network begins with {', '.join(layers)}", "name its last layers in --set fixres.layers"
        )
