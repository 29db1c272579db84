"""The fields the shipped detector is trained on, and the command that trains it.

python -m smearscan.train.detector_corpus --data DIR --out DIR [--seconds S] [--lr R] [--final-lr SHARE] [--threads N]
    [--teacher CHECKPOINT] [--without SOURCE]

First without `--teacher`, on the labelled fields alone; then with that run's checkpoint as teacher and start, and the
fields without boxes as well. `DIR` holds the development images as they are described beside them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from smearscan.detect.base import Detector
from smearscan.train.detector_fields import (
    RED_CELL_UM,
    TrainingField,
    read_rgb,
    read_yolo_fields,
    red_cell_diameters,
    training_field,
)
from smearscan.train.detector_labels import clean_labels, label_field

#: Scale of the fields without boxes: their red cells are 14 px wide; those of the crops 70.5 px.
_TALEQANI_UM_PER_PX, _PBC_UM_PER_PX = 0.53, RED_CELL_UM / 70.5
_TALEQANI_FOLDERS = ("Benign", "Early", "Pre", "Pro")
#: Crops that add what the labelled fields lack: precursors, and large platelets, which are no leukocytes.
_PBC_FOLDERS = ("erythroblast", "ig", "platelet")
#: One camera's fields come in two sizes.
_SAME_SOURCE = {"366x369": "360x363"}

Groups = dict[str, list[TrainingField]]


def labelled_groups(data: Path, teacher: Detector | None) -> Groups:
    """Fields with boxes by camera; slips among the boxes are taken out where there is a teacher."""
    fields = read_yolo_fields(data / "txl_pbc", "train")
    groups: Groups = {}
    for field, diameter in zip(fields, red_cell_diameters(fields), strict=True):
        scale = RED_CELL_UM / diameter
        boxes = field.leukocytes if teacher is None else clean_labels(field.rgb, field.leukocytes, scale, teacher)
        source = _SAME_SOURCE.get(field.source, field.source)
        groups.setdefault(source, []).append(training_field(field.rgb, boxes, scale, source))
    return groups


def dense_fields(data: Path, teacher: Detector, n_each: int = 150) -> list[TrainingField]:
    """Dense fields of leukaemic and normal marrow-like films, labelled by the teacher."""
    fields = []
    for folder in _TALEQANI_FOLDERS:
        for path in _spread(data / "taleqani" / folder, n_each):
            rgb = read_rgb(path)
            boxes = label_field(rgb, _TALEQANI_UM_PER_PX, teacher)
            fields.append(training_field(rgb, boxes, _TALEQANI_UM_PER_PX, "taleqani"))
    return fields


def crop_fields(data: Path, teacher: Detector, n_each: int = 80) -> list[TrainingField]:
    """Crops with one thing in the middle: a precursor, which must be boxed, or a platelet, which must not."""
    fields = []
    for folder in _PBC_FOLDERS:
        for path in _spread(data / "pbc" / folder, n_each):
            rgb = read_rgb(path)
            boxes = label_field(rgb, _PBC_UM_PER_PX, teacher)
            middle = np.array([rgb.shape[1], rgb.shape[0]], np.float32) / 2
            is_central = ((boxes[:, :2] < middle) & (middle < boxes[:, 2:])).all(1)
            if folder == "platelet":
                boxes = boxes[~is_central]
            elif not is_central.any():
                continue
            fields.append(training_field(rgb, boxes, _PBC_UM_PER_PX, "360x363"))
    return fields


def _spread(folder: Path, n: int) -> list[Path]:
    paths = sorted(folder.iterdir())
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(n, len(paths))).astype(int)]


def main() -> None:
    """Train on the development images."""
    import torch

    from smearscan.detect.yolo import YoloDetector
    from smearscan.train.detector import DetectorRecipe, train_detector
    from smearscan.train.detector_tiles import TileMaker, TileRecipe

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--final-lr", type=float, default=0.01, help="share of the rate that is left at the end")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--without", action="append", default=[], help="a source left out, such as 575x575")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    teacher = None
    if arguments.teacher:
        weights = torch.load(arguments.teacher, weights_only=True)["weights"]
        teacher = YoloDetector.of_weights(weights, TileRecipe().um_per_px, 0.2)
    groups = labelled_groups(arguments.data, teacher)
    if teacher is not None:
        groups["taleqani"] = dense_fields(arguments.data, teacher)
        groups["360x363"] += crop_fields(arguments.data, teacher)
    groups = {source: fields for source, fields in groups.items() if source not in arguments.without}
    print({source: len(fields) for source, fields in groups.items()}, flush=True)
    maker = TileMaker(groups, {"taleqani": 1.2}, TileRecipe(), arguments.seed)
    recipe = DetectorRecipe(
        seconds=arguments.seconds, lr=arguments.lr, final_lr=arguments.final_lr, seed=arguments.seed
    )
    train_detector(maker, arguments.out, recipe, arguments.teacher)


if __name__ == "__main__":
    main()
