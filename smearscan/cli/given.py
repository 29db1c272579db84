"""Types of what is typed: a path, a scale, a patient's id. What can only be a mistake is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from smearscan.geometry import PLAUSIBLE_UM_PER_PX


class GivenPath(click.Path):
    """A path; never an empty one, which would be the folder one happens to be in."""

    def __init__(self, readable: bool = True) -> None:
        super().__init__(path_type=Path, readable=readable)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("the path is empty (a variable that is not set?). Name one; . is this folder", param, ctx)
        return super().convert(value, param, ctx)


class UmPerPx(click.FloatRange):
    """A scale that a microscope has, µm per pixel."""

    def __init__(self) -> None:
        super().__init__(*PLAUSIBLE_UM_PER_PX)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(click.FLOAT.convert(value, param, ctx))
        low, high = PLAUSIBLE_UM_PER_PX
        if not low <= number <= high:  # nan is not either
            self.fail(f"{number:g} is not from {low:g} to {high:g} µm per pixel (divide nm by 1000)", param, ctx)
        return number


class PatientId(click.ParamType):
    """A patient's id as a worksheet takes it: without blanks around it, and never blank."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from smearscan.worksheet import why_no_patient

        if why := why_no_patient(str(value)):
            self.fail(f"{value!r}: {why}. Name the patient, or leave the option out", param, ctx)
        return str(value).strip()
