"""`smearscan evaluate` from a folder of class folders to tables, figures and predictions."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from small_world import GRADES, field, fields, package, persons

from smearscan.cli.main import cli
from smearscan.datasets import load_set, make_splits
from smearscan.datasets.split_files import split_text
from smearscan.errors import DatasetError, SettingsError, WeightsError
from smearscan.evaluate.models import load_models
from smearscan.evaluate.predict import read_predictions
from smearscan.evaluate.run import Options, evaluate
from smearscan.models.cards import card_text


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, words)])


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_a_package_gives_predictions_tables_and_figures(tmp_path: Path) -> None:
    card, data, out = package(tmp_path / "m"), fields(tmp_path / "data"), tmp_path / "out"
    result = _run(card.parent, "--data", data, "--out", out)
    assert result.exit_code == 0, result.output
    rows = _rows(out / "predictions.csv")
    assert list(rows[0]) == ["path", "label", "predicted", *GRADES]
    assert [row["path"] for row in rows][:2] == ["Benign/WBC-001.png", "Benign/WBC-002.png"]
    assert len(rows) == 24
    for row in rows:
        shares = [float(row[name]) for name in GRADES]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == GRADES[int(np.argmax(shares))]
        assert row["label"] == row["path"].split("/")[0]
    accuracy = np.mean([row["label"] == row["predicted"] for row in rows])
    (pooled,) = _rows(out / "metrics.csv")
    assert float(pooled["accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    assert (pooled["n_images"], pooled["protocol"], pooled["fold"]) == ("24", "all", "pooled")
    names = {path.name for path in out.iterdir()}
    assert {"metrics.md", "per_class.csv", "per_subject.csv", "confusion.csv", "roc.svg", "confusion.svg",
            "reliability.svg", "comparison.md", "cost.csv", "evaluation.json"} <= names  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_set_of_one_class_is_measured_by_what_is_called_so(tmp_path: Path, kind: str) -> None:
    card, data, out = package(tmp_path / "m"), tmp_path / "data", tmp_path / "out"
    fields(data)
    for grade in set(GRADES) - {"Pre"}:
        shutil.rmtree(data / grade)
    if kind == "table":
        lines = [f"Pre/{path.name},Pre\n" for path in sorted((data / "Pre").iterdir())]
        data = data / "set.csv"
        data.write_text("path,label\n" + "".join(lines))
    result = _run(card, "--data", data, "--out", out)
    assert result.exit_code == 0, result.output
    rows = _rows(out / "predictions.csv")
    assert {row["label"] for row in rows} == {"Pre"} and len(rows) == 6
    (pooled,) = _rows(out / "metrics.csv")
    assert float(pooled["accuracy"]) == pytest.approx(np.mean([row["predicted"] == "Pre" for row in rows]), abs=1e-6)
    assert pooled["auroc"] in {"", "nan"}  # there is nothing to rank it against


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data")
    for name in ("a", "b"):
        evaluate([str(card)], data, tmp_path / name, Options(with_cost=False))
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}


def test_other_names_of_the_folders_and_a_folder_above_are_understood(tmp_path: Path) -> None:
    card = package(tmp_path / "m")
    fields(tmp_path / "data" / "fields", names=("benign", "[Malignant] early Pre-B", "PRE", "Pro-B"))
    result = _run(card, "--data", tmp_path / "data", "--out", tmp_path / "out", "--no-cost", "--no-figures")
    assert result.exit_code == 0, result.output
    rows = _rows(tmp_path / "out" / "predictions.csv")
    assert (tmp_path / "data" / rows[0]["path"]).is_file()
    assert {row["label"] for row in rows} == set(GRADES)


def test_what_cannot_be_read_has_a_row_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    card, data, out = package(tmp_path / "m"), fields(tmp_path / "data"), tmp_path / "out"
    (data / "Pre" / "WBC-002.png").write_bytes(b"no image")
    (data / "Pre" / "WBC-003.png").write_bytes(b"")
    result = _run(card, "--data", data, "--out", out, "--no-cost", "--no-figures")
    assert result.exit_code == 1
    assert "Pre/WBC-002.png" in result.output
    rows = {row["path"]: row for row in _rows(out / "predictions.csv")}
    bad, good = rows["Pre/WBC-002.png"], rows["Pre/WBC-001.png"]
    assert (bad["predicted"], bad["Benign"], "no readable image" in bad["reason"]) == ("", "", True)
    assert good["predicted"] and good["reason"] == ""
    (pooled,) = _rows(out / "metrics.csv")
    assert pooled["n_images"] == "22"
    assert "2 images could not be read" in (out / "metrics.md").read_text("utf-8")


def test_a_network_that_gives_no_number_is_told_row_by_row(tmp_path: Path) -> None:
    card = package(tmp_path / "m")
    (model,) = load_models(str(card))
    state = model.package.model.state_dict()
    state["fc6.bias"] = torch.full_like(state["fc6.bias"], float("nan"))
    torch.save({"card": card_text(model.card), "model": state}, tmp_path / "broken.pt")
    data = fields(tmp_path / "data", 1)
    (outcome,) = evaluate(
        [str(tmp_path / "broken.pt")], data, tmp_path / "out", Options(with_cost=False, with_figures=False)
    )
    assert set(outcome.pooled.reasons) == {"the network gave no number"}
    assert outcome.pooled.n_failed == 4


def test_a_device_that_is_not_here_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no device 'cuda:99'"):
        evaluate(["subtype"], tmp_path / "gone", tmp_path / "out", Options(device="cuda:99"))


def test_segmented_siblings_are_explained(tmp_path: Path) -> None:
    card = package(tmp_path / "m")
    fields(tmp_path / "data" / "Original")
    fields(tmp_path / "data" / "Segmented")
    result = _run(card, "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "Original, Segmented" in result.output
    assert not (tmp_path / "out").exists()


def test_several_models_stand_in_one_table_in_the_order_given(tmp_path: Path) -> None:
    cards = [package(tmp_path / name, name, seed=i) for i, name in enumerate(("second", "first"))]
    data, out = fields(tmp_path / "data"), tmp_path / "out"
    evaluate(list(map(str, cards)), data, out)
    rows = _rows(out / "comparison.csv")
    assert [row["model"] for row in rows] == ["second", "first"]
    assert float(rows[0]["parameters (M)"]) > 0 and float(rows[0]["GFLOPs"]) > 0
    assert (out / "second" / "predictions.csv").is_file()
    speed = _rows(out / "cost.csv")
    assert all(float(row["images a second"]) > 0 for row in speed)


def test_a_random_split_is_called_leaky_in_every_output(tmp_path: Path) -> None:
    card, data, out = package(tmp_path / "m"), fields(tmp_path / "data", 20), tmp_path / "out"
    result = _run(card, "--data", data, "--out", out, "--protocol", "paper-leaky", "--no-cost", "--no-figures")
    assert "(LEAKY)" in result.output
    for name in ("metrics.csv", "metrics.md", "per_class.md", "per_subject.md", "comparison.csv", "comparison.md"):
        assert "LEAKY" in (out / name).read_text("utf-8"), name
    assert json.loads((out / "evaluation.json").read_text("utf-8"))["models"][0]["is_leaky"] is True
    assert len(_rows(out / "predictions.csv")) == 16


def test_the_recorded_split_is_taken_and_a_test_on_training_images_is_flagged(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data", 40)
    (split,) = make_splits(load_set("folder", data), "blocks")
    (card.parent / "split.csv").write_text(split_text(split), "utf-8")
    (own,) = evaluate([str(card.parent)], data, tmp_path / "own", Options(with_cost=False, with_figures=False))
    assert (own.protocol, own.is_leaky, len(own.pooled.samples)) == ("recorded", False, len(split.test))
    (other,) = evaluate(
        [str(card.parent)], data, tmp_path / "other", Options(protocol="all", with_cost=False, with_figures=False)
    )
    assert other.is_leaky
    n_seen = len(split.train) + len(split.validation)
    assert f"{n_seen} of 160 test images were trained on" in (tmp_path / "other" / "metrics.md").read_text("utf-8")


def test_packages_of_folds_are_each_tested_on_their_own_images(tmp_path: Path) -> None:
    data = persons(tmp_path / "data")
    for i in range(5):
        package(tmp_path / "folds" / f"fold{i + 1}", f"fold{i + 1}", seed=i)
    with pytest.raises(SettingsError, match="Name another"):
        evaluate(
            [str(tmp_path / "folds")],
            data,
            tmp_path / "x",
            Options(protocol="recorded", with_cost=False, with_figures=False),
        )
    (outcome,) = evaluate(
        [str(tmp_path / "folds")],
        data,
        tmp_path / "out",
        Options(protocol="subjects-5", with_cost=False, with_figures=False),
    )
    assert len(outcome.pooled.samples) == sum(len(part.samples) for _, part in outcome.folds) == 48
    rows = _rows(tmp_path / "out" / "metrics.csv")
    assert [row["fold"] for row in rows] == [*(f"fold {i}" for i in range(1, 6)), "mean", "sd", "pooled"]
    folds = [float(row["accuracy"]) for row in rows[:5]]
    assert float(rows[5]["accuracy"]) == pytest.approx(np.mean(folds), abs=1e-5)
    assert float(rows[6]["accuracy"]) == pytest.approx(np.std(folds, ddof=1), abs=1e-5)
    assert (tmp_path / "out" / "fold_1" / "predictions.csv").is_file()


def test_models_that_judge_the_same_images_are_averaged_when_pooled(tmp_path: Path) -> None:
    data = fields(tmp_path / "data", 3)
    for i in range(2):
        package(tmp_path / "two" / f"m{i}", f"m{i}", seed=i)
    (outcome,) = evaluate(
        [str(tmp_path / "two")], data, tmp_path / "out", Options(protocol="all", with_cost=False, with_figures=False)
    )
    parts = [part.probabilities for _, part in outcome.folds]
    assert outcome.pooled.probabilities == pytest.approx((parts[0] + parts[1]) / 2)
    assert len(outcome.pooled.samples) == 12


def test_a_checkpoint_is_judged_as_its_package_is(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data", 2)
    (model,) = load_models(str(card))
    torch.save({"card": card_text(model.card), "model": model.package.model.state_dict()}, tmp_path / "run.pt")
    a, b = (
        evaluate([str(p)], data, tmp_path / p.stem, Options(with_cost=False, with_figures=False))[0]
        for p in (card, tmp_path / "run.pt")
    )
    assert (a.pooled.probabilities == b.pooled.probabilities).all()


@pytest.mark.parametrize("held", [{"model": {}}, [1, 2], {"card": "x = ", "model": {}}])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"x\.pt"):
        load_models(str(tmp_path / "x.pt"))


def test_a_damaged_checkpoint_and_an_absent_one_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"PK nothing")
    for name, said in (("x.pt", "cannot be read"), ("y.pt", "no checkpoint")):
        with pytest.raises(WeightsError, match=said):
            load_models(str(tmp_path / name))


def test_weights_changed_by_one_byte_are_refused(tmp_path: Path) -> None:
    card = package(tmp_path / "m")
    weights = card.with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    result = _run(card.parent, "--data", fields(tmp_path / "data", 1), "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "not those of the card" in result.output


def test_a_model_that_does_not_exist_and_a_folder_without_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no model 'nothing'"):
        load_models("nothing")
    with pytest.raises(WeightsError, match="holds no package"):
        load_models(str(tmp_path))


def test_classes_that_cannot_be_matched_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    card = package(tmp_path / "m", classes=("red", "green"))
    with pytest.raises(SettingsError, match="red, green"):
        evaluate([str(card)], fields(tmp_path / "data", 1), tmp_path / "out")


def test_a_model_of_cells_is_not_shown_fields(tmp_path: Path) -> None:
    card = package(tmp_path / "m", takes="cell")
    with pytest.raises(SettingsError, match="judges single cells"):
        evaluate([str(card)], fields(tmp_path / "data", 2), tmp_path / "out", Options(set_name="taleqani"))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="are not here"):
        evaluate([str(package(tmp_path / "m"))], tmp_path, tmp_path / "out")


def test_kept_back_labels_give_predictions_and_a_submission_but_no_figure(tmp_path: Path) -> None:
    card = package(tmp_path / "m", classes=("hem", "all"))
    folder = tmp_path / "data" / "C-NMC_test_final_phase_data"
    folder.mkdir(parents=True)
    for number, label in ((10, "Pro"), (2, "Benign")):
        Image.fromarray(field(label, number)).save(folder / f"{number}.bmp")
    (outcome,) = evaluate(
        [str(card)], tmp_path / "data", tmp_path / "out", Options("cnmc", with_cost=False, with_figures=False)
    )
    assert [s.part for s in outcome.pooled.samples] == ["phase3", "phase3"]
    lines = (tmp_path / "out" / "submission.txt").read_text().split()
    called = {Path(row["path"]).stem: row["predicted"] for row in _rows(tmp_path / "out" / "predictions.csv")}
    assert lines == [str(int(called[number] == "all")) for number in ("2", "10")]
    assert not (tmp_path / "out" / "metrics.csv").exists()


def test_written_predictions_are_read_back(tmp_path: Path) -> None:
    evaluate(
        [str(package(tmp_path / "m"))],
        fields(tmp_path / "data", 1),
        tmp_path / "out",
        Options(with_cost=False, with_figures=False),
    )
    classes, rows = read_predictions(tmp_path / "out" / "predictions.csv")
    assert (classes, len(rows)) == (GRADES, 4)
    with pytest.raises(DatasetError, match="no columns"):
        read_predictions(tmp_path / "out" / "metrics.csv")


def test_cells_of_the_shared_sample_are_judged_by_the_shipped_package(shared_data: Path, tmp_path: Path) -> None:
    options = Options("cnmc", with_cost=False, with_figures=False)
    (outcome,) = evaluate(["blast"], shared_data / "cnmc" / "sample", tmp_path, options)
    assert (outcome.pooled.classes, len(outcome.pooled.samples), outcome.pooled.n_failed) == (("other", "blast"), 39, 0)
    assert "hem → other" in (tmp_path / "metrics.md").read_text("utf-8")
