"""What is known of the sets whose classes are folders: names, counts, how their files are numbered. Facts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Layout:
    """One set of class folders.

    Attributes
    ----------
    folders
        Folder name, lower case without blanks and signs → class. Empty: every folder is a class of its own name.
    classes
        In column order.
    n_images
        Images of the complete set by class, as its makers print them; empty where it has none.
    block
        File numbers in a block that stands in for a subject.
    is_numbered
        Whether the numbers are known to count fields in the order they were taken, whatever of them is here.
    source
        Where it comes from, for the message that tells what is missing.
    """

    name: str
    classes: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    n_images: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    block: int = 50
    is_numbered: bool = False
    source: str = ""


def plain_name(folder: str) -> str:
    """Folder name without case, blanks and signs: `[Malignant] Pre-B` → `malignantpreb`."""
    return "".join(sign for sign in folder.casefold() if sign.isalnum())


def _own_names(*classes: str) -> Mapping[str, str]:
    return MappingProxyType({plain_name(name): name for name in classes})


_GRADES = {"Benign": ("benign",), "Early": ("early", "earlypreb"), "Pre": ("pre", "preb"), "Pro": ("pro", "prob")}

TALEQANI = Layout(
    "taleqani",
    tuple(_GRADES),
    # Both public copies: Benign/Early/Pre/Pro, and `[Malignant] early Pre-B` and its siblings.
    MappingProxyType(
        {
            prefix + variant: grade
            for grade, names in _GRADES.items()
            for variant in names
            for prefix in ("", "malignant", "wbcmalignant", "wbc")
        }
    ),
    MappingProxyType({"Benign": 504, "Early": 985, "Pre": 963, "Pro": 804}),
    # 20 to 50 fields look like one patient.
    block=50,
    is_numbered=True,
    source="Ghaderzadeh et al. 2022, https://doi.org/10.1002/int.22753",
)

_PBC = {
    "basophil": 1218, "eosinophil": 3117, "erythroblast": 1551, "ig": 2895,
    "lymphocyte": 1214, "monocyte": 1420, "neutrophil": 3329, "platelet": 2348,
}  # fmt: skip
PBC = Layout(
    "pbc",
    tuple(_PBC),
    MappingProxyType({**_own_names(*_PBC), "immaturegranulocytes": "ig", "immaturegranulocyte": "ig"}),
    MappingProxyType(_PBC),
    source="Acevedo et al. 2020, https://doi.org/10.1016/j.dib.2020.105474",
)

_MUNICH = {
    "BAS": 79, "EBO": 78, "EOS": 424, "KSC": 15, "LYA": 11, "LYT": 3937, "MMZ": 15, "MOB": 26,
    "MON": 1789, "MYB": 42, "MYO": 3268, "NGB": 109, "NGS": 8484, "PMB": 18, "PMO": 70,
}  # fmt: skip
MUNICH_AML = Layout(
    "munich_aml",
    tuple(_MUNICH),
    _own_names(*_MUNICH),
    MappingProxyType(_MUNICH),
    source="Matek et al. 2019, https://doi.org/10.7937/tcia.2019.36f5o9ld",
)

FOLDER = Layout("folder")

CLASS_FOLDERS: Mapping[str, Layout] = MappingProxyType(
    {layout.name: layout for layout in (TALEQANI, PBC, MUNICH_AML, FOLDER)}
)
