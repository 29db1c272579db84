"""The sets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from smearscan.datasets.all_idb import load_all_idb
from smearscan.datasets.boxes import load_bccd, load_txl
from smearscan.datasets.class_folders import load_class_folders
from smearscan.datasets.cnmc import load_cnmc
from smearscan.datasets.layouts import CLASS_FOLDERS
from smearscan.datasets.samples import SampleSet
from smearscan.datasets.table import load_csv
from smearscan.errors import SettingsError

_ABOUT = {
    "all_idb1": "healthy all; fields, https://doi.org/10.1109/ICIP.2011.6115881",
    "all_idb2": "healthy all; single cells, https://doi.org/10.1109/ICIP.2011.6115881",
    "bccd": "leukocyte red_cell platelet; boxes, https://github.com/Shenggan/BCCD_Dataset",
    "txl": "leukocyte red_cell platelet; boxes, https://doi.org/10.48550/arXiv.2407.13214",
    "cnmc": "hem all; C-NMC 2019, https://doi.org/10.7937/tcia.2019.dc64i46r",
    "csv": "any table of path,label[,subject][,part]",
    "folder": "any folder of class folders, or of class folders of subjects",
}
_OTHERS: Mapping[str, Callable[[Path], SampleSet]] = {
    "all_idb1": partial(load_all_idb, "all_idb1"),
    "all_idb2": partial(load_all_idb, "all_idb2"),
    "bccd": load_bccd,
    "cnmc": load_cnmc,
    "csv": load_csv,
    "txl": load_txl,
}


def list_sets() -> list[str]:
    """Names of all sets, sorted; `folder` is any folder of class folders, `csv` any table of paths and labels."""
    return sorted([*CLASS_FOLDERS, *_OTHERS])


def load_set(name: str, root: Path) -> SampleSet:
    """Samples of a set on disk, from names alone: nothing is decoded or hashed, see `check_set` for that.

    Parameters
    ----------
    name
        One of `list_sets`.
    root
        Folder of the set, or the CSV.

    Raises
    ------
    SettingsError
        If there is no such set.
    DatasetError
        If what lies at `root` is not that set, or a class has no image.
    """
    if name in CLASS_FOLDERS:
        return load_class_folders(CLASS_FOLDERS[name], root)
    if name not in _OTHERS:
        raise SettingsError(f"there is no set {name!r}", f"choose one of {', '.join(list_sets())}")
    return _OTHERS[name](root)


def about_set(name: str) -> str:
    """One line about a set: its classes, and where it comes from."""
    if name in CLASS_FOLDERS and CLASS_FOLDERS[name].source:
        layout = CLASS_FOLDERS[name]
        return f"{' '.join(layout.classes)}; {layout.source}"
    return _ABOUT[name]
