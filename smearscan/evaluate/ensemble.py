"""Several models' predictions of the same images made one, and how far they disagree.

Jiang et al. 2021 (https://doi.org/10.1155/2021/7529893) print a weighted sum of 0.7 and 0.3. Weights and stacks
are fitted on the protocol's validation images, never on its test images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from smearscan.errors import SettingsError
from smearscan.evaluate.outcome import Outcome
from smearscan.evaluate.predict import Predictions, sample_name
from smearscan.evaluate.reconcile import reconcile
from smearscan.evaluate.tables import Cell, write_csv
from smearscan.models.ensemble import disagreement, fit_stack, fit_weights, vote, weighted_sum

FITTED = ("fitted", "stacked")
#: A member's predictions on the validation images of the one split it is tested on.
Validation = Callable[[Outcome], Predictions]


def check_way(how: str, n_members: int) -> None:
    """Refuse what is no way to join `n_members` models.

    Raises
    ------
    SettingsError
        With the ways there are.
    """
    if n_members < 2:
        raise SettingsError("an ensemble needs two models or more", "name more of them, or leave --ensemble out")
    if how not in ("mean", "vote", *FITTED):
        _weights(how, n_members)


def join(outcomes: Sequence[Outcome], how: str, validation: Validation) -> Outcome:
    """The ensemble's outcome on the images that all members judged.

    Parameters
    ----------
    how
        `mean`, `vote`, weights such as `0.7,0.3` in the members' order, `fitted` (weights) or `stacked` (a logistic
        regression over log-probabilities), both fitted on validation.

    Raises
    ------
    SettingsError
        If members judged other images or classes, or there is nothing to fit on.
    """
    # The member with the fewest classes: what others tell apart is added up.
    first = min(outcomes, key=lambda outcome: len(outcome.pooled.classes))
    for other in outcomes:
        if other.pooled.samples != first.pooled.samples:
            raise SettingsError(f"{first.name} and {other.name} did not judge the same images",
                                "give the models one --protocol")  # fmt: skip
    members = _side_by_side([outcome.pooled for outcome in outcomes], first.pooled.classes)
    mixed, said = _joined(members, outcomes, how, validation, first.pooled.classes)
    reasons = tuple(next(filter(None, why), "") for why in zip(*(o.pooled.reasons for o in outcomes), strict=True))
    pooled = replace(first.pooled, probabilities=mixed, reasons=reasons)
    names = ", ".join(outcome.name for outcome in outcomes)
    notes = (f"{how} of {names}{said}", *dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
    # One fold of the first member stands for all: it carries the split and whether it is leaky.
    worst = next((o for o in outcomes if o.is_leaky), first)
    return replace(first, name="ensemble", folds=((worst.folds[0][0], pooled),), pooled=pooled, notes=notes)


def _side_by_side(parts: Sequence[Predictions], classes: Sequence[str]) -> np.ndarray:
    """Members (M, N, C), whatever each calls its classes and in whatever order.

    Raises
    ------
    SettingsError
        If a member's classes are none of these.
    """
    return np.stack([_brought(part, tuple(classes)) for part in parts])


def _brought(part: Predictions, classes: tuple[str, ...]) -> np.ndarray:
    if part.classes == classes:
        return part.probabilities
    agreement = reconcile(classes, part.classes, f"a member with the classes {', '.join(part.classes)}")
    if agreement.classes == classes:
        return agreement.merged(part.probabilities, part.classes)
    return part.probabilities[:, [part.classes.index(agreement.label_of[name]) for name in classes]]


def _joined(
    members: np.ndarray, outcomes: Sequence[Outcome], how: str, validation: Validation, classes: tuple[str, ...]
) -> tuple[np.ndarray, str]:
    good = np.isfinite(members).all(axis=(0, 2))
    mixed = np.full(members.shape[1:], np.nan, np.float32)
    said = ""
    if how == "vote":
        mixed[good] = vote(members[:, good])
    elif how in FITTED:
        held = [validation(outcome) for outcome in outcomes]
        shares, labels = _of_validation(held, classes)
        if how == "fitted":
            weights = fit_weights(shares, labels)
            mixed[good] = weighted_sum(members[:, good], weights.tolist())
            said = f": weights {', '.join(f'{w:.2f}' for w in weights)}, fitted on {len(labels)} validation images"
        else:
            mixed[good] = fit_stack(shares, labels)(members[:, good])
            said = f": fitted on {len(labels)} validation images"
    else:
        mixed[good] = weighted_sum(members[:, good], _weights(how, len(members)))
    return mixed, said


def _of_validation(held: Sequence[Predictions], classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Members (M, N, C) and labels (N,) of the validation images that all of them could read."""
    column = {name: i for i, name in enumerate(classes)}
    told = next(part.labels for part in held if part.classes == classes)
    keep = [i for i, label in enumerate(told) if label and not any(part.reasons[i] for part in held)]
    if len({part.samples for part in held}) > 1 or not keep:
        raise SettingsError("the members have no validation images in common", "use --ensemble mean, vote or weights")
    return _side_by_side(held, classes)[:, keep], np.array([column[told[i]] for i in keep])


def _weights(how: str, n_members: int) -> list[float] | None:
    """Weights of a text such as `0.7,0.3`; None of `mean`."""
    if how == "mean":
        return None
    try:
        weights = [float(part) for part in how.split(",")]
    except ValueError:
        weights = []
    if len(weights) != n_members or min(weights) < 0 or sum(weights) <= 0:
        raise SettingsError(f"--ensemble {how!r} is no way to join {n_members} models",
                            "use mean, vote, fitted, stacked, or one weight a model: 0.7,0.3")  # fmt: skip
    return weights


def write_disagreement(folder: Path, joined: Outcome, outcomes: Sequence[Outcome]) -> None:
    """Write `disagreement.csv`: each image's spread among the members (standard deviation of the class called)."""
    spread = disagreement(_side_by_side([outcome.pooled for outcome in outcomes], joined.pooled.classes))
    rows: list[list[Cell]] = []
    for i, sample in enumerate(joined.pooled.samples):
        shares = joined.pooled.probabilities[i]
        called = None if joined.pooled.reasons[i] else int(shares.argmax())
        name = "" if called is None else joined.pooled.classes[called]
        rows.append([sample_name(sample), joined.pooled.labels[i], name,
                     None if called is None else float(spread[i, called])])  # fmt: skip
    write_csv(folder, "disagreement", ["path", "label", "predicted", "disagreement"], rows)
