"""Packages: what is absent, altered or foreign is refused by name; what is written is the same every time."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_networks import small_card, small_model, small_package

from smearscan.crops.cut import WINDOW_UM
from smearscan.error_counts import ValidationGroup
from smearscan.errors import OutputError, WeightsError
from smearscan.models import ModelCard, list_packages, load_card, load_package, save_package
from smearscan.models.cards import (
    WIDEST_CELL_UM,
    InputCard,
    ValidationCard,
    WeightsCard,
    card_text,
    read_card,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small package."""
    folder = tmp_path_factory.mktemp("package")
    small_package("cnn_cbam", folder)
    return folder


def _copy(saved: Path, to: Path) -> tuple[Path, Path]:
    card, weights = to / "small.toml", to / "small.safetensors"
    card.write_bytes((saved / card.name).read_bytes())
    weights.write_bytes((saved / weights.name).read_bytes())
    return card, weights


def test_a_cell_is_softened_on_black_alone() -> None:
    with pytest.raises(ValueError, match="softened on black"):
        InputCard(window_um=29.0, um_per_px=0.3, side_px=32, background="kept", softened_um=0.4)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_weights_altered_by_one_byte_are_refused(saved: Path, tmp_path: Path, place: int) -> None:
    card, weights = _copy(saved, tmp_path)
    data = bytearray(weights.read_bytes())
    data[place] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"small\.safetensors are not those of the card") as caught:
        load_package(str(card))
    assert caught.value.remedy


def test_truncated_weights_are_refused(saved: Path, tmp_path: Path) -> None:
    card, weights = _copy(saved, tmp_path)
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(WeightsError, match="not those of the card"):
        load_package(str(card))


def test_absent_weights_are_named(saved: Path, tmp_path: Path) -> None:
    card, weights = _copy(saved, tmp_path)
    weights.unlink()
    with pytest.raises(WeightsError, match=r"small\.safetensors are absent"):
        load_package(str(card))


def test_a_file_that_is_no_safetensors_is_refused_though_its_digest_fits(saved: Path, tmp_path: Path) -> None:
    card, weights = _copy(saved, tmp_path)
    old = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(b"pickle")
    card.write_text(card.read_text().replace(old, hashlib.sha256(b"pickle").hexdigest()))
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_package(str(card))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('network = "cnn_cbam"', 'network = "mobilenetv2"'),
        ("widths = [32, 48]", "widths = [32, 64]"),
        ('classes = ["other", "blast", "smudge"]', 'classes = ["other", "blast"]'),
    ],
)
def test_weights_of_another_network_than_the_cards_are_refused(saved: Path, tmp_path: Path, old: str, new: str) -> None:
    card, _ = _copy(saved, tmp_path)
    text = card.read_text()
    assert old in text
    text = text.replace(old, new)
    if "mobilenetv2" in new:
        text = text.split("[options]")[0] + "[input]" + text.split("[input]")[1]
    card.write_text(text)
    with pytest.raises(WeightsError, match=r"small\.safetensors are of another network"):
        load_package(str(card))


def test_a_card_that_is_not_there_is_named_with_those_that_are(saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"large\.toml") as caught:
        load_package(str(saved / "large.toml"))
    assert "small" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('temprature = 1.5\nname = "small"', "temprature"),
        ('temperature = 0.0\nname = "small"', "temperature"),
        ('name = "../small"', "name"),
        ('name = "small"\nthresholds = {blast = 1.5}', "thresholds.blast"),
        ('name = "small"\nfrequencies = {blsat = 0.5}', "frequencies.*blsat"),
        ('name = "small"\nfrequencies = {other = 0.0}', "frequencies"),
    ],
)
def test_a_card_with_an_unknown_key_or_impossible_value_is_refused_by_key(
    saved: Path, tmp_path: Path, line: str, message: str
) -> None:
    card, _ = _copy(saved, tmp_path)
    text = card.read_text()
    text = "\n".join(row for row in text.splitlines() if not row.startswith("temperature"))
    card.write_text(text.replace('name = "small"', line))
    with pytest.raises(WeightsError, match=message):
        load_package(str(card))


@pytest.mark.parametrize("text", ["not toml", 'name = "x"', "\x00"])
def test_a_file_that_is_no_card_is_refused_by_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(WeightsError, match=r"x\.toml"):
        load_package(str(tmp_path / "x.toml"))


def test_the_same_network_is_written_to_the_same_bytes(tmp_path: Path) -> None:
    model, card = small_model("cnn_cbam"), small_card("cnn_cbam")
    for folder in ("a", "b"):
        save_package(model, card, folder=tmp_path / folder)
    for name in ("small.toml", "small.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_weights_are_half_the_size_and_float32_in_memory(saved: Path, tmp_path: Path, dtype: str) -> None:
    package = small_package("cnn_cbam", tmp_path, dtype)  # type: ignore[arg-type]
    assert {p.dtype for p in package.model.parameters()} == {torch.float32}
    full = (saved / "small.safetensors").stat().st_size
    assert (tmp_path / "small.safetensors").stat().st_size < 0.65 * full


def test_a_weight_that_does_not_fit_the_dtype_is_refused_by_name(tmp_path: Path) -> None:
    model = small_model("cnn_cbam")
    with torch.no_grad():
        model.fc5.weight[0, 0] = 1e6  # type: ignore[union-attr, index]
    with pytest.raises(WeightsError, match=r"fc5\.weight"):
        save_package(model, small_card("cnn_cbam"), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_package(small_model("cnn_cbam"), small_card("cnn_cbam"), folder=tmp_path / "file")


def test_loading_leaves_the_random_generator_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    load_package(str(saved / "small.toml"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_card_of_another_stage_gives_its_digest_without_its_stage_being_known(tmp_path: Path) -> None:
    path = tmp_path / "mask.toml"
    path.write_text(f'kind = "mask"\nname = "mask"\nwindow_um = 29.0\n[weights]\nsha256 = "{"0" * 64}"\n')
    card = load_card(str(path))
    assert card.sha256 == "0" * 64
    assert card.model_dump()["window_um"] == 29.0
    with pytest.raises(WeightsError, match="kind"):
        read_card(path)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    summary=_TEXT,
    data=st.lists(_TEXT, max_size=3),
    figures=st.dictionaries(_TEXT, st.one_of(st.integers(-9, 9), st.floats(allow_nan=False), _TEXT), max_size=4),
    groups=st.lists(st.tuples(_TEXT, st.integers(0, 9), st.integers(0, 9)), max_size=3),
    temperature=st.floats(1e-3, 1e3),
    training=st.dictionaries(_TEXT, st.dictionaries(_TEXT, st.booleans(), max_size=2), max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_a_card_reads_back_as_it_was_written(
    summary: str,
    data: list[str],
    figures: dict[str, float | int | str],
    groups: list[tuple[str, int, int]],
    temperature: float,
    training: dict[str, dict[str, bool]],
) -> None:
    card = ModelCard(
        name="a-1",
        summary=summary,
        network="vgg16_eca",
        options={"width": 0.25, "eca_kernel": "adaptive"},
        classes=("a", "b"),
        input=InputCard(window_um=29, um_per_px=0.3, side_px=64, background="black"),
        temperature=temperature,
        validation=ValidationCard(
            groups=tuple(ValidationGroup(name=n, n_blasts=a + b, n_called_of_blasts=a) for n, a, b in groups)
        ),
        training={key: value for key, value in training.items() if value},
        data=tuple(data),
        figures=figures,
        weights=WeightsCard(sha256="a" * 64, n_parameters=3),
    )
    assert ModelCard.model_validate(tomllib.loads(card_text(card))) == card


@pytest.mark.parametrize("name", list_packages())
def test_every_shipped_package_loads_and_says_what_it_is_not_for(name: str) -> None:
    package = load_package(name)
    assert package.name == name
    assert package.card.not_for
    assert package.card.data


def test_a_card_can_ask_for_no_more_of_a_cell_than_is_cut() -> None:
    with pytest.raises(ValidationError, match="29 µm wide at most"):
        InputCard(window_um=36, um_per_px=0.5, side_px=64, background="kept")
    widest = InputCard(window_um=WINDOW_UM, um_per_px=0.5, side_px=64, background="kept")
    assert widest.window_um == WIDEST_CELL_UM
    assert InputCard(window_um=106, um_per_px=0.9, side_px=112, background="kept", takes="image").window_um == 106
