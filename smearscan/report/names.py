"""File names from patient ids: readable where the id is harmless, unique and safe whatever it is."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

#: Kept as they are: safe on every file system and in a link. All else becomes "_".
_UNSAFE = re.compile(r"[^A-Za-z0-9._() -]+")
_MAX_LENGTH = 80
#: Names that Windows keeps for devices, and the list of patients that stands in the same folder.
_RESERVED = {"con", "prn", "aux", "nul", "index"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)}


def report_names(patient_ids: Iterable[str]) -> dict[str, str]:
    """Choose the stem of each patient's report file.

    An id that is a safe name stays as it is. Any other keeps its safe characters and gains a
    digest of the whole id; so do ids that differ only in case, since many disks do not tell them
    apart. The names do not depend on the order of the ids.

    Parameters
    ----------
    patient_ids
        All ids of one run; repetitions are ignored.

    Returns
    -------
    dict
        From id to a stem of at most 98 ASCII characters, no two of them alike when case is ignored.
    """
    ids = sorted(set(patient_ids))
    hashed = {patient_id for patient_id in ids if _slug(patient_id) != patient_id}
    while True:
        names = {p: _with_digest(p) if p in hashed else p for p in ids}
        count = Counter(name.lower() for name in names.values())
        clashing = {p for p in ids if count[names[p].lower()] > 1 and p not in hashed}
        if not clashing:
            return names
        hashed |= clashing


def _slug(patient_id: str) -> str:
    slug = _UNSAFE.sub("_", patient_id)[:_MAX_LENGTH].lstrip(" ").rstrip(" .")
    if slug.startswith((".", "-")):
        slug = "_" + slug.lstrip(".-")
    if not slug or slug.split(".")[0].strip().lower() in _RESERVED:
        slug = f"_{slug}"
    return slug


def _with_digest(patient_id: str) -> str:
    digest = hashlib.sha256(patient_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_slug(patient_id)}-{digest[:16]}"
