"""Models joined in one row more: by hand the same, fitted on validation alone, disagreement told."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_world import GRADES, fields, package

from smearscan.cli.main import cli
from smearscan.errors import SettingsError
from smearscan.evaluate.outcome import Outcome
from smearscan.evaluate.run import Options, evaluate
from smearscan.models.ensemble import vote


def _evaluated(folder: Path, how: str, n: int = 5, protocol: str | None = None) -> list[Outcome]:
    cards = [package(folder / name, name, seed=i) for i, name in enumerate(("a", "b"))]
    options = Options(protocol=protocol, with_cost=False, with_figures=False, ensemble=how)
    return evaluate([str(card) for card in cards], fields(folder / "data", n), folder / "out", options)


@pytest.mark.parametrize(("how", "weights"), [("mean", (0.5, 0.5)), ("0.7,0.3", (0.7, 0.3)), ("3,1", (0.75, 0.25))])
def test_weights_are_those_given(tmp_path: Path, how: str, weights: tuple[float, float]) -> None:
    a, b, joined = _evaluated(tmp_path, how)
    expected = weights[0] * a.pooled.probabilities + weights[1] * b.pooled.probabilities
    assert joined.pooled.probabilities == pytest.approx(expected, abs=1e-6)
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    assert [row["model"] for row in rows] == ["a", "b", "ensemble"]
    assert (tmp_path / "out" / "ensemble" / "predictions.csv").is_file()


def test_a_vote_is_the_votes_of_the_members(tmp_path: Path) -> None:
    a, b, joined = _evaluated(tmp_path, "vote")
    members = np.stack([a.pooled.probabilities, b.pooled.probabilities])
    assert joined.pooled.probabilities == pytest.approx(vote(members))


@pytest.mark.parametrize("how", ["fitted", "stacked"])
def test_fitting_needs_validation_images_and_says_how_many(tmp_path: Path, how: str) -> None:
    with pytest.raises(SettingsError, match="no validation images in common"):
        _evaluated(tmp_path / "none", how)
    *_, joined = _evaluated(tmp_path / "some", how, 40, "paper-leaky")
    assert any("fitted on 32 validation images" in note for note in joined.notes)
    assert joined.is_leaky
    assert joined.pooled.probabilities.sum(1) == pytest.approx(np.ones(32), abs=1e-5)


def test_disagreement_is_the_spread_of_the_class_called(tmp_path: Path) -> None:
    a, b, joined = _evaluated(tmp_path, "mean")
    rows = list(csv.DictReader((tmp_path / "out" / "ensemble" / "disagreement.csv").read_text().splitlines()))
    for i, row in enumerate(rows):
        column = GRADES.index(row["predicted"])
        half = abs(a.pooled.probabilities[i, column] - b.pooled.probabilities[i, column]) / 2
        assert float(row["disagreement"]) == pytest.approx(half, abs=1e-5)
    assert len(rows) == len(joined.pooled.samples)


def test_what_a_member_cannot_read_the_ensemble_cannot(tmp_path: Path) -> None:
    data = fields(tmp_path / "data", 3)
    (data / "Pre" / "WBC-001.png").write_bytes(b"x")
    cards = [str(package(tmp_path / name, name, seed=i)) for i, name in enumerate(("a", "b"))]
    *_, joined = evaluate(cards, data, tmp_path / "out", Options(with_cost=False, with_figures=False, ensemble="mean"))
    assert joined.pooled.n_failed == 1
    assert np.isnan(joined.pooled.probabilities).any(1).sum() == 1


@pytest.mark.parametrize("how", ["median", "0.7", "0,0", "-1,2", "0.5,0.3,0.2"])
def test_no_other_way_is_taken(tmp_path: Path, how: str) -> None:
    with pytest.raises(SettingsError, match="no way to join 2 models"):
        _evaluated(tmp_path, how)


def test_one_model_is_no_ensemble(tmp_path: Path) -> None:
    card = package(tmp_path / "m")
    words = ["evaluate", str(card), "--data", str(fields(tmp_path / "d", 1)), "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(cli, [*words, "--ensemble", "mean"])
    assert result.exit_code == 2
    assert "two models or more" in result.output


@pytest.mark.parametrize("how", ["mean", "stacked"])
def test_members_that_call_place_or_divide_classes_otherwise_are_joined(tmp_path: Path, how: str) -> None:
    twins = [package(tmp_path / name, name, classes) for name, classes in
             (("a", ("other", "blast")), ("b", ("hem", "all")), ("c", GRADES))]  # fmt: skip
    data = fields(tmp_path / "data", 30)
    options = Options(protocol="paper-leaky", with_cost=False, with_figures=False, ensemble=how)
    a, b, c, joined = evaluate([str(card) for card in twins], data, tmp_path / "out", options)
    assert joined.pooled.classes == ("other", "blast")
    if how == "mean":
        of_grades = np.stack([c.pooled.probabilities[:, 0], c.pooled.probabilities[:, 1:].sum(1)], axis=1)
        expected = (a.pooled.probabilities + b.pooled.probabilities + of_grades) / 3
        assert joined.pooled.probabilities == pytest.approx(expected, abs=1e-6)
    # The other way round: the same people, columns swapped.
    swapped = [package(tmp_path / f"{name}2", f"{name}2", classes) for name, classes in
               (("a", ("other", "blast")), ("b", ("all", "hem")))]  # fmt: skip
    a, b, joined = evaluate([str(card) for card in swapped], data, tmp_path / "out2", replace(options, ensemble="mean"))
    expected = (a.pooled.probabilities + b.pooled.probabilities[:, ::-1]) / 2
    assert joined.pooled.probabilities == pytest.approx(expected, abs=1e-6)
