"""Every recipe of the papers runs from end to end on C-NMC under its real names: one epoch, all files, all figures.

The images are drawn, but for the 42 real crops where they are; sizes are tiny, so nothing is said of accuracy.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from cnmc_stand_in import add_sample, draw_cell, make_cnmc

from smearscan.cli.progress import Progress
from smearscan.cli.train import _alike, _recipes, command
from smearscan.datasets.files import sha256_of
from smearscan.datasets.registry import load_set
from smearscan.models.packages import load_package
from smearscan.train.recipes.load import list_recipes, load_recipe

FIGURES = {"confusion.svg", "roc.svg", "reliability.svg"}
TABLES = {"metrics.csv", "metrics.md", "per_class.md", "per_subject.md", "predictions.csv", "recipe.json", "alike.json"}
#: The smallest each network takes, so that all thirty-six run in minutes.
TINY = ["epochs=1", "batch=16", "patience=1"]
SLIM = {"ullah2021": ["options={width=0.125,hidden=16}"], "ullah2021_vgg16": ["options={width=0.125,hidden=16}"]}
#: Every fold is trained where folds are the point; elsewhere one stands for all.
ONE_FOLD = {"subjects-5"}
BY_DEFAULT = {"sajon2024_cnn"}
#: Joint networks, each with the rows of its members that are run after it in its folder; every row once.
JOINT = {
    "jiang2021_ensemble": ("jiang2021", "jiang2021_efficientnet_b0"),
    "jiang2021_tiny_ensemble": ("jiang2021_tiny",),
}
ON_THEIR_OWN = sorted(set(list_recipes()) - {name for joint in JOINT.items() for name in (joint[0], *joint[1])})


@pytest.fixture(scope="module")
def cnmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_cnmc(tmp_path_factory.mktemp("cnmc"))
    sample = Path(__file__).resolve().parents[3] / "shared" / "data" / "cnmc" / "sample"
    if sample.is_dir():
        assert add_sample(root, sample) == 42
    return root


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of drawn fields under the names and numbers of Sajon's."""
    root, rng = tmp_path_factory.mktemp("taleqani"), np.random.default_rng(0)
    last = {"Benign": 504, "Early": 985, "Pre": 963, "Pro": 804}
    for i, (name, n) in enumerate(last.items()):
        (root / name).mkdir()
        for number in range(1, n + 1, 24):
            field = np.full((40, 40, 3), 150 + 25 * i, np.uint8) - draw_cell(i > 1, rng, 40) // 4
            cv2.imwrite(str(root / name / f"WBC-{name}-{number:03d}.jpg"), field)
    return root


def _changes(name: str) -> list[str]:
    recipe = load_recipe(name)
    side = 80 if "inception" in recipe.network or "xception" in recipe.network else 32
    changes = [*TINY, f"input.side_px={side}", *SLIM.get(name, [])]
    if recipe.split.protocol in ONE_FOLD:
        changes.append("split.fold=1")
    if recipe.balance.kind == "ders":
        changes.append("balance.draw=48")  # fewer than there are: a choice is drawn, as of the whole set
    if recipe.fixres:
        changes += ["fixres.side_px=48", "fixres.epochs=1"]
    return changes


def _train(name: str, data: Path, out: Path, *more: str) -> None:
    changes = [part for change in _changes(name) for part in ("--set", change)]
    given = [name, "--data", str(data), "--out", str(out), "--from-scratch", "--device", "cpu", *changes, *more]
    result = CliRunner().invoke(command, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def _written(name: str, out: Path) -> None:
    """All that a recipe leaves in its folder."""
    recipe = load_recipe(name)
    folders = [path.parent for path in sorted(out.rglob(f"{name}.toml"))]
    assert len(folders) == (6 if recipe.split.protocol == "ullah-7" else 1)
    names = {path.name for path in out.iterdir()}
    assert names >= TABLES | FIGURES
    assert ("submission.txt" in names) == bool(recipe.split.submit_parts)
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert names >= {"predictions.csv", "confusion.svg", "roc.svg", "split.csv", f"{name}.safetensors"}
        if not recipe.members:
            assert names >= {"log.csv", "curves.png", "checkpoint.pt"}
        card = load_package(str(folder / f"{name}.toml")).card
        assert card.training["paper"] == recipe.paper
        assert bool(card.validation.groups) == bool(card.thresholds) == (recipe.set == "cnmc")
    with (out / "predictions.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows and all(row["predicted"] for row in rows)
    assert any(row["label"] for row in rows)


def _trained(out: Path) -> dict[str, int | str]:
    """When a folder's checkpoint and log were written, and the digests of its package."""
    when = {name: (out / name).stat().st_mtime_ns for name in ("checkpoint.pt", "log.csv")}
    package = {path.name: sha256_of(path) for path in out.iterdir() if path.suffix in {".toml", ".safetensors"}}
    return {**when, **package}


@pytest.mark.parametrize(
    "name", [name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in ON_THEIR_OWN]
)
def test_a_recipe_runs_to_its_package_tables_and_figures(name: str, cnmc: Path, fields: Path, tmp_path: Path) -> None:
    _train(name, fields if load_recipe(name).set == "taleqani" else cnmc, tmp_path)
    _written(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(JOINT))
def test_the_row_of_a_member_takes_up_what_the_joint_network_trained(name: str, cnmc: Path, tmp_path: Path) -> None:
    _train(name, cnmc, tmp_path)
    _written(name, tmp_path)
    for member in JOINT[name]:
        before = _trained(tmp_path / member)
        _train(member, cnmc, tmp_path / member)
        _written(member, tmp_path / member)
        assert _trained(tmp_path / member) == before


@pytest.mark.slow
def test_the_submission_holds_every_image_of_the_phase_without_labels(cnmc: Path, tmp_path: Path) -> None:
    _train("liu2022", cnmc, tmp_path, "--set", "network=mobilenetv2")
    answers = (tmp_path / "submission.txt").read_text().split()
    assert len(answers) == 4 and set(answers) <= {"0", "1"}


@pytest.mark.slow
def test_the_papers_own_order_of_copies_and_split_runs_and_is_marked_as_leaky(cnmc: Path, tmp_path: Path) -> None:
    _train("jiang2021_tiny", cnmc, tmp_path, "--set", "split.protocol=copies-leaky", "--set", "split.fold=1")
    assert "LEAKY" in (tmp_path / "metrics.md").read_text("utf-8")


#: The command in a process of its own, which then names the threads that it leaves.
ENDING = """
from pathlib import Path
from smearscan.cli.main import cli
cli(standalone_mode=False)
print("left:", *(task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")))
"""


@pytest.mark.slow
def test_two_processes_share_a_batch_and_end_where_one_does(fields: Path, tmp_path: Path) -> None:
    # Seven images are four and three: each must weigh alike. Nothing is drawn, and no norm looks at a batch.
    more = ("batch=7", "options={dropout=0.0}", "optimiser.name=sgd", "optimiser.rate=0.1", "schedule.kind=constant")
    given = [part for change in (*_changes("sajon2024_cnn"), *more) for part in ("--set", change)]
    given = ["sajon2024_cnn", "--data", str(fields), "--device", "cpu", "--precision", "float32", *given]
    two, one = tmp_path / "two", tmp_path / "one"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    (script := tmp_path / "ending.py").write_text(ENDING)
    command_line = [*launch, str(script), "train", *given, "--out", str(two), "--threads", "1"]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    # One of gloo's threads that outlives the interpreter aborts its process, one time in five.
    assert done.stdout.count("left:") == 2 and "gloo" not in done.stdout
    assert (two / "metrics.md").is_file()
    assert load_package(str(two / "sajon2024_cnn.toml")).card.classes == ("Benign", "Early", "Pre", "Pro")
    assert CliRunner().invoke(command, [*given, "--out", str(one)], catch_exceptions=False).exit_code == 0
    first, second = (torch.load(out / "checkpoint.pt", weights_only=True)["model"] for out in (one, two))
    assert all(torch.allclose(value, second[name], rtol=0, atol=1e-5) for name, value in first.items())


def test_what_shows_the_same_is_found_once_and_again_when_a_file_was_replaced(tmp_path: Path) -> None:
    root, out, rng = tmp_path / "data", tmp_path / "out", np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), rng.integers(0, 256, (32, 32, 3), np.uint8))

    def found() -> list[list[str]]:
        with Progress("looking") as progress:
            return _alike(load_recipe("sajon2024_cnn"), load_set("folder", root), out, progress)

    assert found() == []
    kept = json.loads((out / "alike.json").read_text("utf-8"))
    (out / "alike.json").write_text(json.dumps({**kept, "groups": [["a/1.png", "a/2.png"]]}), "utf-8")
    assert found() == [["a/1.png", "a/2.png"]]  # taken from the file
    shutil.copy(root / "a/2.png", root / "b/1.png")
    assert found() == [["a/2.png", "b/1.png"]]


def test_the_recipes_are_listed_without_data() -> None:
    result = CliRunner().invoke(command, ["--list"])
    assert result.exit_code == 0
    assert all(name in result.output for name in list_recipes())


def test_each_member_of_a_joint_network_may_be_given_weights_of_its_own() -> None:
    changes = ["epochs=3", "jiang2021.pretrained=vit.safetensors", "jiang2021_efficientnet_b0.pretrained=false"]
    asked, members = _recipes("jiang2021_ensemble", changes)
    assert [one.epochs for one in (asked, *members)] == [3, 3, 3]
    assert [one.pretrained for one in (asked, *members)] == [True, "vit.safetensors", False]
