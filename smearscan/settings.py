"""Frozen settings, one model per stage, read from TOML. An unknown key is an error.

Each field states its unit and its reason; `configs/presets/default.toml` sets every one of them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from smearscan.error_counts import ValidationGroup
from smearscan.errors import SettingsError
from smearscan.resources import configs_folder


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScaleSettings(_Stage):
    """How µm per pixel is measured where the file does not say."""

    red_cell_diameter_um: float = Field(7.5, gt=0, description="median of healthy adults, dried film, µm")
    between_patient_sd: float = Field(0.06, ge=0, description="relative spread of that median: micro- and macrocytosis")
    min_red_cells: int = Field(8, ge=1, description="fewer give an interval that does not cover")
    max_relative_sd: float = Field(0.15, gt=0, description="beyond this the window in µm is not one")


class RegionSettings(_Stage):
    """Where to look."""

    survey_um_per_px: float = Field(2.0, gt=0, description="µm/px of the survey: gaps between red cells still show")
    tile_um: float = Field(320.0, gt=0, description="side of a tile's core, µm")
    halo_um: float = Field(24.0, gt=0, description="overlap on each side, µm: more than the largest leukocyte's radius")
    max_field_mm2: float = Field(
        1.0, ge=0, description="an image no larger is a field that a person chose: all of it is searched"
    )
    min_film_fraction: float = Field(0.05, ge=0, le=1, description="tiles with less stained film are glass")
    max_closed_fraction: float = Field(
        0.1, ge=0, le=1, description="more blocks of 16 µm of film without a gap may be too thick"
    )
    thick_density: float = Field(
        1.35, ge=1, description="and are, if film is this many times as dense as a red cell here"
    )
    min_azure_um2: float = Field(12.0, ge=0, description="tiles with more as dark as nuclei are kept on glass too, µm²")
    max_azure_fraction: float = Field(
        0.1, ge=0, le=1, description="dense tiles with more nuclei are full of leukocytes, not thick"
    )
    n_focus_samples: int = Field(64, ge=1, description="tiles whose focus is judged; around blurred ones all are")
    min_focus: float = Field(0.15, ge=0, le=1, description="tiles blurred beyond this are left out")


class DetectSettings(_Stage):
    """How leukocytes are found."""

    detector: Literal["yolo", "classical"] = "yolo"
    um_per_px: float = Field(0.5, gt=0, description="µm/px the detector works at: 12 µm are 24 px")
    min_score: float = Field(0.2, ge=0, le=1, description="detections below this are not reported")
    merge_iou: float = Field(0.5, ge=0, le=1, description="two boxes that overlap more are one cell")


class StainSettings(_Stage):
    """How stain is normalised."""

    method: Literal["reinhard", "macenko", "none"] = "reinhard"
    max_sample_px: int = Field(500_000, gt=0, description="foreground pixels sampled for the fit")


def _listed(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


class ClassifySettings(_Stage):
    """Which packages judge a cell, and where the lines are drawn."""

    cell_type: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        ("celltype", "celltype2"), min_length=1, description="packages whose mean is the type; a single name will do"
    )
    cell_type_weights: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.65, 0.35), description="of each in that mean; empty: all alike"
    )
    blast: tuple[str, ...] = ("blast", "blast2", "blast_home")
    blast_weights: tuple[float, ...] = (0.6, 0.6, 0.45)
    blast_home: str = Field(
        "blast_home", description="member that knows one laboratory alone: where it is sure, size is not asked"
    )
    blast_offset: float = Field(1.0, description="log-odds added to the sum of the members' for every cell")
    blast_silent: float = Field(1.2, description="log-odds added where blast_home is silent: what it adds to a blast")
    size_weight: float = Field(0.75, ge=0, description="of the cell's diameter beside the networks; 0 leaves it out")
    size_midpoint_um: float = Field(12.0, gt=0, description="diameter at which size says nothing, µm")
    size_spread_um: float = Field(1.2, gt=0, description="diameters to one unit of log-odds, µm")
    size_ceiling: float = Field(1.0, ge=0, description="large cells say no more than this many units: monocytes")
    chunk_cells: int = Field(256, ge=1, description="cells cut and judged at a time; changes memory, never a result")
    min_cell_focus: float = Field(0.1, ge=0, le=1, description="a cell blurred beyond this is not counted, 0–1")


class AggregateSettings(_Stage):
    """What a patient's number must say."""

    min_leukocytes: int = Field(200, ge=1, description="ICSH minimum for a differential")
    confidence: float = Field(0.95, gt=0, lt=1, description="of every interval")
    work_up_fraction: float = Field(0.05, gt=0, lt=1, description="blasts in blood at which work-up starts")
    acute_fraction: float = Field(0.20, gt=0, lt=1, description="WHO threshold of the acute-leukaemia range")
    max_unidentified_fraction: float = Field(
        0.30, gt=0, le=1, description="more cells than this unlike the training: insufficient"
    )
    min_focus: float = Field(0.15, ge=0, le=1, description="median focus below this: insufficient")
    min_searched_mm2: float = Field(0.0, ge=0, description="less monolayer than this: insufficient, mm²")
    max_blurred_fraction: float = Field(0.5, gt=0, le=1, description="more leukocytes than this blurred: insufficient")
    max_unusable_images: float = Field(
        0.1, ge=0, le=1, description="more of a slide's images that could not be used than this: never clear"
    )
    max_stain_distance: float = Field(6.0, gt=0, description="stain further than this from the reference: insufficient")
    counting: Literal["whole_smear", "adaptive"] = "whole_smear"
    heterogeneity_level: float = Field(0.01, gt=0, lt=1, description="slides differ: p value below which it is said")
    validation: tuple[ValidationGroup, ...] = Field(
        (), description="the classifier's errors as this laboratory counted them; empty: as its card says"
    )


class ReportSettings(_Stage):
    """What a report shows."""

    max_gallery_cells: int = Field(200, ge=1, description="a report opens at once")
    max_attention_cells: int = Field(24, ge=0, description="attention maps drawn")
    thumbnail_px: int = Field(900, ge=100, description="longer side of the slide's thumbnail, px")
    max_subtype_fields: int = Field(
        12, ge=0, description="fields around suspect cells judged as a whole; 0: the report says nothing of subtypes"
    )


class Settings(_Stage):
    """Everything that decides what a result is."""

    scale: ScaleSettings = ScaleSettings()
    regions: RegionSettings = RegionSettings()
    detect: DetectSettings = DetectSettings()
    stain: StainSettings = StainSettings()
    classify: ClassifySettings = ClassifySettings()
    aggregate: AggregateSettings = AggregateSettings()
    report: ReportSettings = ReportSettings()


def list_presets() -> list[str]:
    """Names of the presets that ship with the package."""
    return sorted(p.stem for p in (configs_folder() / "presets").glob("*.toml"))


def preset_path(preset: str) -> Path:
    """The file of a preset that is given by name or by path."""
    return Path(preset) if preset.endswith(".toml") else configs_folder() / "presets" / f"{preset}.toml"


def load_settings(preset: str = "default") -> Settings:
    """Read a preset by name, or a TOML file by path.

    Raises
    ------
    SettingsError
        If there is no such preset, a key is unknown or a value is out of range.
    """
    path = preset_path(preset)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no preset {preset!r}", f"choose one of {', '.join(list_presets())}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}", "mend the line it names") from error
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: {key}: {first['msg']}", "see configs/presets/default.toml for every key"
        ) from error
