"""A recipe from images to a package and its figures: every fold, every member, taken up again where it was stopped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from smearscan.datasets.samples import SampleSet
from smearscan.datasets.split_files import SPLIT_NAME, split_text
from smearscan.errors import SettingsError
from smearscan.models.cards import InputCard, card_text
from smearscan.models.packages import Package, load_package
from smearscan.models.registry import create_model
from smearscan.report.atomic import make_folder, remove_parts, write_bytes
from smearscan.train.recipes.division import Division, divisions
from smearscan.train.recipes.export import describe, export, network_options
from smearscan.train.recipes.history import draw_curves
from smearscan.train.recipes.images import check_background, input_of
from smearscan.train.recipes.loop import Report, Task, Trainer
from smearscan.train.recipes.measure import Tested, judge, write_results
from smearscan.train.recipes.place import Place
from smearscan.train.recipes.recipe import Recipe
from smearscan.train.recipes.seeds import INITIAL_WEIGHTS, torch_seed
from smearscan.train.recipes.stages import stage_input

#: The parts of a joint network, in the order of a recipe's members.
_PARTS = ("vit", "cnn")
#: No file of a run takes longer to write, s: one that is still half written was left by a process that was killed.
_ABANDONED_S = 3600.0


def _silent(*_: object) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where a recipe is run and who hears of it."""

    place: Place
    report: Report = _silent
    say: Callable[[str], None] = _silent
    n_workers: int = 0


def train_recipe(
    recipe: Recipe,
    sample_set: SampleSet,
    out: Path,
    session: Session,
    *,
    members: Sequence[Recipe] = (),
    alike: Iterable[Sequence[str]] = (),
) -> list[Tested]:
    """Train every model of a recipe, export it, test it; what is already done is not done again.

    Parameters
    ----------
    out
        Gets `recipe.json`, predictions, tables and figures as `smearscan evaluate` writes them, and for each model, in
        a folder of its own where there are several, checkpoint, `log.csv`, `curves.png`, package and `split.csv`.
    members
        The recipes of `recipe.members`, read; their splits are taken from `recipe`.
    alike
        Groups of paths that show the same, kept on one side of every split.

    Raises
    ------
    SettingsError, DatasetError
        If recipe and set do not fit together, or `out` holds another run.
    WeightsError
        If ImageNet weights are asked for and cannot be had.
    TrainingError
        If the loss is no number any more, or memory is too small.
    OutputError, TransientError
        If `out` cannot be written.
    KeyboardInterrupt
        If it was asked to stop; the same call goes on from there.
    """
    folds, tested = divisions(sample_set, recipe, [list(paths) for paths in alike]), []
    check_background(recipe, sample_set, folds[0].training)
    for number, division in enumerate(folds, start=1):
        if len(folds) > 1:
            session.say(f"model {number} of {len(folds)}: {division.name}")
        folder = out / division.name if len(folds) > 1 else out
        package = _package(recipe, members, sample_set, division, folder, session)
        if session.place.is_first:
            tested.append(judge(package, sample_set, division, str(session.place.device)))
    if session.place.is_first:
        write_bytes(out / "recipe.json", (recipe.model_dump_json(indent=1) + "\n").encode())
        write_results(out, sample_set, tested)
    session.place.agreed(None)  # the others stay until the files are written
    return tested


def _package(
    recipe: Recipe, members: Sequence[Recipe], sample_set: SampleSet, division: Division, folder: Path, session: Session
) -> Package:
    if session.place.is_first:
        make_folder(folder)
        remove_parts(folder, time.time() - _ABANDONED_S)
    card = input_of(recipe, sample_set, division.training)
    if recipe.members:
        return _joined(recipe, members, sample_set, division, card, folder, session)
    run = run_digest(recipe, sample_set, division)

    def described(shown: InputCard) -> str:
        return card_text(describe(recipe, sample_set, division, shown, run=run))

    sides = (division.training, division.validation)
    task = Task(recipe, sample_set, *sides, card, folder, run, session.n_workers, described)
    trainer = Trainer(new_network(recipe, len(sample_set.classes)), task, session.place, session.report, session.say)
    model = trainer.run()
    state = trainer.state
    if session.place.is_first:
        shown = stage_input(card, recipe, state.stage)
        package = export(
            model,
            recipe,
            sample_set,
            division,
            shown,
            folder,
            str(session.place.device),
            kept_epoch=state.best_epoch,
            run=run,
            pieces=state.parts,
        )
        draw_curves(folder / "curves.png", state.history, f"{recipe.name}, {division.split.protocol} {division.name}")
        _write_split(folder, division)
    # The others wait for the files.
    session.place.agreed(None)
    return package if session.place.is_first else load_package(str(folder / f"{recipe.name}.toml"))


def _write_split(folder: Path, division: Division) -> None:
    """Who was trained on, beside the model; what has no sides but copies on all of them has no such file."""
    if division.split.train:
        write_bytes(folder / SPLIT_NAME, split_text(division.split).encode())


def new_network(recipe: Recipe, n_classes: int) -> nn.Module:
    """The untrained network, the same for the same seed."""
    with torch_seed(recipe.seed, INITIAL_WEIGHTS):
        return create_model(recipe.network, n_classes, pretrained=recipe.pretrained, **network_options(recipe))


def run_digest(recipe: Recipe, sample_set: SampleSet, division: Division) -> str:
    """Digest of what decides a run: the recipe, and every image's path, class and side."""
    digest = hashlib.sha256(recipe.model_dump_json().encode())
    for side in (division.training, division.validation):
        for row in side:
            digest.update(f"{row.sample.path}\t{row.sample.box}\t{row.sample.label}\t{row.copy}\n".encode())
        digest.update(b"\n")
    digest.update("\t".join(sample_set.classes).encode())
    return digest.hexdigest()


def _joined(
    recipe: Recipe,
    members: Sequence[Recipe],
    sample_set: SampleSet,
    division: Division,
    card: InputCard,
    folder: Path,
    session: Session,
) -> Package:
    """Train the parts on their own, each in a folder of its own, and put them together."""
    if len(members) != len(_PARTS):
        raise SettingsError(f"recipe {recipe.name} joins {len(_PARTS)} members, not {len(members)}", "name both")
    model = create_model(recipe.network, len(sample_set.classes), **network_options(recipe))
    for part, member in zip(_PARTS, members, strict=True):
        session.say(f"member {member.name}")
        trained = _package(member, (), sample_set, division, folder / member.name, session)
        if trained.card.input != card:
            raise SettingsError(f"{member.name} is shown other images than {recipe.name}", "give both one input")
        model.get_submodule(part).load_state_dict(trained.model.state_dict())
    if session.place.is_first:
        _write_split(folder, division)
        where = str(session.place.device)
        names = [member.name for member in members]
        return export(model, recipe, sample_set, division, card, folder, where, members=names)
    return Package(model.eval(), load_package(str(folder / members[0].name / f"{members[0].name}.toml")).card)
