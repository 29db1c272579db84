"""Pictures of what networks look at: every kind of network, the same bytes each time, errors named."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from small_world import GRADES, fields, package

from smearscan.cli.main import cli
from smearscan.datasets import load_set
from smearscan.errors import DatasetError
from smearscan.evaluate.blocks import block_maps, first_blocks
from smearscan.evaluate.embedding import embeddings, lay_out
from smearscan.evaluate.explain import evenly, explain
from smearscan.models import InputCard, ModelCard, Package, create_model, list_models
from smearscan.models.layers.cbam import CBAM
from smearscan.models.layers.eca import Eca


def _network(key: str, **options: object) -> Package:
    torch.manual_seed(0)
    card = ModelCard(
        name="x",
        summary="untrained",
        network=key,
        options=options,
        classes=GRADES,
        input=InputCard(window_um=29, um_per_px=29 / 64, side_px=64, background="kept", takes="image"),
    )
    return Package(create_model(key, 4, **options).eval().requires_grad_(False), card)


_INPUTS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


def test_attention_is_shown_before_and_after_in_both_blocks() -> None:
    package_ = _network("vgg16_eca", width=0.125, head="gap", batch_norm=True)
    maps = block_maps(package_, _INPUTS)
    assert list(maps) == [f"block {i} {word} attention" for i in (1, 2) for word in ("without", "with")]
    assert maps["block 1 with attention"].shape == (3, 32, 32)
    assert maps["block 2 without attention"].shape == (3, 16, 16)
    assert not np.allclose(maps["block 1 with attention"], maps["block 1 without attention"])


def test_channel_attention_only_weighs_channels() -> None:
    """After ECA every channel is the one before times a number: recomputed from the module itself."""
    package_ = _network("vgg16_eca", width=0.125, head="gap", batch_norm=True)
    maps = block_maps(package_, _INPUTS)
    first = package_.model.blocks[0]
    x = torch.from_numpy(_INPUTS).permute(0, 3, 1, 2).float() / 255
    before = first[:-1](x)
    assert maps["block 1 without attention"] == pytest.approx(before.mean(1).numpy(), abs=1e-4)
    assert maps["block 1 with attention"] == pytest.approx(first[-1](before).mean(1).numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("vgg16", {"width": 0.125, "head": "gap", "batch_norm": True}),
        ("resnet18", {}),
        ("vit_tiny_patch16", {"image_px": 64}),
    ],
)
def test_plain_networks_show_two_blocks(key: str, options: dict[str, object]) -> None:
    maps = block_maps(_network(key, **options), _INPUTS)
    assert list(maps) == ["block 1", "block 2"]
    assert all(found.shape[0] == 3 and found.ndim == 3 for found in maps.values())


def test_every_network_has_a_first_block_to_show_and_a_second_one() -> None:
    for key in list_models():
        with torch.device("meta"):
            model = create_model(key, 2)
        assert first_blocks(model) or any(isinstance(module, CBAM | Eca) for module in model.modules()), key


def test_of_the_three_looks_of_a_network_the_first_is_shown_in_every_batch() -> None:
    package_ = _network("wtdfn_mobilenetv2", n_maps=2)
    many = np.random.default_rng(1).integers(0, 256, (35, 64, 64, 3), np.uint8)
    late = block_maps(package_, many[32:])
    for name, maps in block_maps(package_, many).items():
        assert maps[32:] == pytest.approx(late[name], abs=1e-5)


@pytest.mark.parametrize(
    ("key", "options"), [("cnn_cbam", {"head": "gap", "widths": (8, 8)}), ("wtdfn_resnet18", {"small_input": True})]
)
def test_an_embedding_is_what_the_last_layer_is_given(key: str, options: dict[str, object]) -> None:
    package_, inputs = _network(key, **options), _INPUTS[:, :32, :32]
    found = embeddings(package_, inputs)
    assert found.shape[0] == 3
    x = torch.from_numpy(inputs.copy()).permute(0, 3, 1, 2).float() / 255
    model = package_.model
    last = model.fc6 if key == "cnn_cbam" else model.classifier
    logits = model(x) if key == "cnn_cbam" else model.classify(x)[0]
    assert last(torch.from_numpy(found)).numpy() == pytest.approx(logits.numpy(), abs=1e-3)


def test_the_map_keeps_neighbours_together_and_is_the_same_each_time() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(centre, 0.3, (15, 12)) for centre in (-4, 0, 4)])
    places = lay_out(vectors)
    assert (places == lay_out(vectors)).all()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (apart.argmin(1) // 15 == np.arange(45) // 15).all()


def test_too_few_images_have_no_map() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        lay_out(np.zeros((3, 4)))


def test_images_are_taken_evenly_of_each_class(tmp_path: Path) -> None:
    found = load_set("folder", fields(tmp_path, 9))
    chosen = evenly(found, 3)
    assert [sample.path for sample in chosen][:3] == [f"Benign/WBC-00{i}.png" for i in (1, 5, 9)]
    assert len(chosen) == 12
    assert len(evenly(found, 50)) == 36


def test_all_pictures_are_drawn_and_are_the_same_each_time(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data", 4)
    for name in ("a", "b"):
        (drawn,) = explain([str(card)], data, tmp_path / name, per_class=1, on_map=16)
    assert drawn.files == ("gradcam.png", "blocks.png", "map.svg", "map.csv")
    for name in drawn.files:
        first, second = (tmp_path / run / "grades" / name for run in ("a", "b"))
        assert first.read_bytes() == second.read_bytes(), name
    rows = list(csv.DictReader((tmp_path / "a" / "grades" / "map.csv").read_text().splitlines()))
    assert (len(rows), list(rows[0])) == (16, ["path", "label", "predicted", "x", "y"])
    with Image.open(tmp_path / "a" / "grades" / "gradcam.png") as picture:
        assert picture.height > picture.width  # four rows of two


def test_the_command_goes_on_after_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data", 2)
    (data / "Pro" / "WBC-001.png").write_bytes(b"x")
    words = ["explain", str(card), "--data", str(data), "--out", str(tmp_path / "out"), "--images", "2", "--map", "0"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1
    assert "Pro/WBC-001.png" in result.output
    assert (tmp_path / "out" / "grades" / "gradcam.png").is_file()


def test_a_set_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    card, data = package(tmp_path / "m"), fields(tmp_path / "data", 1)
    for path in data.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DatasetError, match="no image could be read"):
        explain([str(card)], data, tmp_path / "out")
