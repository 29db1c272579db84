"""Images per second through `infer`, beside the bare loop over the same network, and through OpenVINO.

    python benchmarks/inference.py [--networks KEY ...] [--side 96] [--images 64] [--rounds 5] [--openvino] [--float32]

The bare loop is what one writes by hand: `network(batch)` in inference mode, the same batch size, precision and
memory layout, from the same uint8 images. `--float32` adds the loop as timm and torchvision show it, which multiplies
in float32, and the exported network in float32; differences are then from that loop. The ways take turns in every
round; printed are the medians of their processor times and the ratios of a round, since a machine that others use as
well changes pace from second to second. Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch

from smearscan.models import InputCard, ModelCard, Package, create_model, infer, network_spec
from smearscan.models.infer import BATCH_SIZE
from smearscan.resources import has_native_bfloat16

#: Those that are trained on small inputs; any key of the registry may be asked for.
NETWORKS = ("cnn_cbam", "vgg16_eca", "resnet18", "resnet18_cbam", "wtdfn_resnet18", "efficientnet_b0", "mobilenetv2")
#: What makes a network take the side that is asked for.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cnn_cbam": {"head": "gap", "batch_norm": True},
    "vgg16": {"head": "gap"},
    "vgg16_eca": {"head": "gap", "batch_norm": True, "width": 0.5},
}
MEAN, SD = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)


def random_package(key: str, side: int) -> Package:
    """The network with random weights, as `load_package` would give it."""
    options = dict(OPTIONS.get(key, {}))
    if network_spec(key).family.startswith("vit"):
        options["image_px"] = side
    elif network_spec(key).family == "backbone_cbam":
        options["input_px"] = side
    window = InputCard(window_um=29.0, um_per_px=29 / side, side_px=side, background="kept", mean=MEAN, sd=SD)
    card = ModelCard(name="random", summary="", network=key, options=options, classes=("a", "b"), input=window)
    torch.manual_seed(0)
    model = create_model(key, 2, **options).eval().requires_grad_(False)
    return Package(model.to(memory_format=torch.channels_last), card)


def bare_loop(package: Package, images: np.ndarray, in_bfloat16: bool) -> np.ndarray:
    """The loop one writes by hand."""
    mean, sd = (torch.tensor(v)[:, None, None] for v in (MEAN, SD))
    out = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
        for start in range(0, len(images), BATCH_SIZE):
            batch = torch.from_numpy(images[start : start + BATCH_SIZE]).permute(0, 3, 1, 2)
            x = ((batch.float() / 255 - mean) / sd).contiguous(memory_format=torch.channels_last)
            out.append(package.model(x).float().softmax(1).numpy())
    return np.concatenate(out)


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(key: str, side: int, n_images: int, rounds: int, with_openvino: bool, with_float32: bool) -> str:
    """One line of the table."""
    package = random_package(key, side)
    images = np.random.default_rng(0).integers(0, 256, (n_images, side, side, 3), dtype=np.uint8)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "bare": lambda: bare_loop(package, images, has_native_bfloat16()),
        "infer": lambda: infer(package, images, device="cpu"),
    }
    if with_openvino:
        ways["openvino"] = exported(package, images, "auto")
    if with_float32:
        ways = {"bare32": lambda: bare_loop(package, images, False)} | ways
    if with_float32 and with_openvino:
        ways["openvino32"] = exported(package, images, "float32")
    answers = {name: run() for name, run in ways.items()}  # the first call of each also warms it up
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            times[name].append(seconds(run))
    first, cells = next(iter(ways)), [f"{key:18}"]
    for name in ways:
        per_second = n_images / statistics.median(times[name])
        against = [base for base in ("bare32", "bare") if base in ways]
        ratios = [statistics.median(b / t for b, t in zip(times[base], times[name], strict=True)) for base in against]
        far = float(np.abs(answers[name] - answers[first]).max())
        cells.append(f"{name} {per_second:7.1f}/s  {' '.join(f'×{ratio:4.2f}' for ratio in ratios)}  Δ{far:.5f}")
    return "   ".join(cells)


def exported(package: Package, images: np.ndarray, precision: Literal["auto", "float32"]) -> Callable[[], np.ndarray]:
    """The same images through OpenVINO."""
    from smearscan.models.export import accelerate

    fast = accelerate(package, precision=precision, threads=torch.get_num_threads())
    return lambda: infer(fast, images, device="cpu")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--side", type=int, default=96, help="px")
    parser.add_argument("--images", type=int, default=2 * BATCH_SIZE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--openvino", action="store_true")
    parser.add_argument("--float32", action="store_true", help="beside all that, the loop and the export in float32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    multiplies = "bfloat16" if has_native_bfloat16() else "float32"
    print(f"{given.images} images of {given.side} px, batches of {BATCH_SIZE}, {given.threads} thread(s), {multiplies}")
    print("×: of the bare loops' pace, float32 first; Δ: greatest difference from the first loop's probabilities")
    for key in given.networks:
        print(compare(key, given.side, given.images, given.rounds, given.openvino, given.float32), flush=True)


if __name__ == "__main__":
    main()
