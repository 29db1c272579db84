"""Every network and every hyper-parameter of it, on one page. The networks themselves stand in `networks/`.

A key's options are what `create_model(key, n_classes, **options)` may change; each default is the paper's where it
prints one, else ours and marked so. `cam_layer` names the layer whose output Grad-CAM weighs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ULLAH = "Ullah 2021, https://doi.org/10.3390/app112210662"
SAJON = "Sajon 2024, https://doi.org/10.1007/978-981-99-8937-9_24"
LIU = "Liu 2022, https://doi.org/10.3390/diagnostics12010016"
JIANG = "Jiang 2021, https://doi.org/10.1155/2021/7529893"
OURS = "ours"


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What is fixed about one architecture.

    Parameters
    ----------
    key
        Its name in the registry.
    family
        Module of `smearscan.models.networks` that builds it.
    paper
        Who describes it, with DOI.
    input_px
        Side of the square input the paper uses, px.
    cam_layer
        Dotted name of the layer Grad-CAM looks at.
    min_px
        Smallest side the architecture takes, px.
    fixed
        What makes this key and is not an option (the backbone, whether ECA is on).
    options
        What a caller may change, with defaults.
    note
        Where it departs from the paper, and why.
    """

    key: str
    family: str
    paper: str
    input_px: int
    cam_layer: str
    min_px: int = 32
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""


_VGG = {
    "width": 1.0,  # multiplies all channels; below 1 is the slim variant we ship, ours
    "head": "fc",  # "fc": 4096-4096-classes as printed; "gap": mean over the map, then classes
    "hidden": 4096,  # units of the two dense layers of "fc"
    "dropout": 0.5,  # of "fc", as Simonyan and Zisserman
    "batch_norm": False,  # not in the paper; a slim variant from scratch needs it
}

_CNN_CBAM = {
    "widths": (32, 64, 128, 256),  # the first is the paper's, the others are not printed: ours
    "convs": 1,  # convolutions in a block, CBAM after each
    "attention": True,  # False gives the same network without CBAM, for the ablation
    "reduction": 16,  # of the channel MLP: not printed, Woo's
    "batch_norm": False,  # the paper names none
    "head": "flatten",  # "flatten": the whole map, fixed input; "gap": pooled to pool×pool, any input
    "pool": 1,  # side of the pooled map of "gap"
    "hidden": 128,  # fc5; fc6 gives the classes
    "dropout": 0.25,  # the paper's, there after the dense layers of the transfer networks
    "input_px": 224,  # of "flatten"
}

_BACKBONE_CBAM = {
    "attention": True,  # False leaves the CBAM block out, for the ablation
    "reduction": 16,  # not printed, Woo's
    "mix_kernel": 1,  # convolution after CBAM; its side is not printed: 1 keeps 1920 channels affordable
    "head": "flatten",  # as printed; "gap" takes any input
    "hidden": (512, 128),
    "dropout": 0.25,
    "input_px": 224,
}

_WTDFN = {
    "n_maps": 32,  # M of table 4
    "threshold": 0.5,  # of the min-max-normalised attention map, equations (3) and (4)
    "small_input": False,  # resnets only: 3×3 stem without pooling, for inputs of about 64–128 px
    "scale": 100.0,  # of the unit-length BAP vector before the classifier; without it the softmax stays flat
}

_RESNET_CBAM = {
    "attention": True,
    "reduction": 16,
    "small_input": False,  # 3×3 stem of stride 1 without pooling: 64 px stay 8×8 at the end
    "channels": (64, 128, 256, 512),
    "dropout": 0.0,
}

_VIT = {"image_px": 224, "patch_px": 16, "dropout": 0.0}

_WTDFN_NO_STEM = {name: value for name, value in _WTDFN.items() if name != "small_input"}
_VIT_CNN = {**_VIT, "weights": (0.7, 0.3)}  # of ViT and EfficientNet-B0, as printed
_VIT_BASE = {"timm_name": "vit_base_patch16_224"}
_VIT_TINY = {"timm_name": "vit_tiny_patch16_224"}
_VIT_NOTE = "the text says six encoders and eight heads; the public weights it fine-tunes have twelve of each"

#: The backbones of table 3, in its order, and the two ResNets of table 1.
WTDFN_BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "seresnext26",
    "seresnext50",
    "mobilenetv2",
    "inception_v1",
    "inception_v2",
    "inception_v3",
    "inception_v4",
    "inception_resnet_v2",
)

_INCEPTION_NOTES: Mapping[str, str] = MappingProxyType(
    {
        "inception_v1": "true 5×5 branches; the table's 7.10 M counts an unused layer of 1000 classes, ours has 6.08 M",
        "inception_v2": "BN-Inception; the table's 13.47 M is of a network it does not name",
    }
)

#: timm's name of each plain network and the layer before its pooling.
PLAIN_BACKBONES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "resnet18": ("resnet18", "layer4"),
        "resnet34": ("resnet34", "layer4"),
        "resnet50": ("resnet50", "layer4"),
        "resnet101": ("resnet101", "layer4"),
        "seresnext26": ("legacy_seresnext26_32x4d", "layer4"),
        "seresnext50": ("seresnext50_32x4d", "layer4"),
        "mobilenetv2": ("mobilenetv2_100", "bn2"),
        "inception_v3": ("inception_v3", "Mixed_7c"),
        "inception_v4": ("inception_v4", "features"),
        "inception_resnet_v2": ("inception_resnet_v2", "conv2d_7b"),
        "densenet121": ("densenet121", "features"),
        "densenet201": ("densenet201", "features"),
        "xception": ("legacy_xception", "act4"),
        "efficientnet_b0": ("efficientnet_b0", "bn2"),
        "efficientnet_b6": ("efficientnet_b6", "bn2"),
    }
)


def _spec(key: str, family: str, paper: str, input_px: int, cam_layer: str, **rest: Any) -> NetworkSpec:
    for name in ("fixed", "options"):
        rest[name] = MappingProxyType(dict(rest.get(name, {})))
    return NetworkSpec(key, family, paper, input_px, cam_layer, **rest)


def _plain(key: str, paper: str, input_px: int) -> NetworkSpec:
    fixed = {"backbone": key}
    min_px = 75 if key.startswith("inception") or key == "xception" else 32
    cam = PLAIN_BACKBONES[key][1]
    return _spec(key, "plain", paper, input_px, cam, min_px=min_px, fixed=fixed, options={"dropout": 0.0})


#: Everything the registry can build, in the order of the papers.
NETWORKS: Mapping[str, NetworkSpec] = MappingProxyType(
    {
        spec.key: spec
        for spec in (
            _spec("vgg16", "vgg", ULLAH, 224, "blocks", options=_VGG),
            _spec("vgg16_eca", "vgg", ULLAH, 224, "blocks", options={**_VGG, "eca_kernel": 9}),
            _spec("cnn_cbam", "cnn_cbam", SAJON, 224, "blocks", options=_CNN_CBAM),
            *(
                _spec(
                    f"{name}_cbam",
                    "backbone_cbam",
                    SAJON,
                    224,
                    "norm",
                    min_px=75 if name == "xception" else 32,
                    fixed={"backbone": name},
                    options=_BACKBONE_CBAM,
                )
                for name in ("densenet201", "resnet50", "xception", "efficientnet_b6")
            ),
            _spec("resnet18_cbam", "resnet_cbam", OURS, 96, "layer4", options=_RESNET_CBAM),
            *(
                _spec(
                    f"wtdfn_{name}",
                    "wtdfn",
                    LIU,
                    300,
                    "backbone",
                    min_px=75 if "inception" in name else 32,
                    fixed={"backbone": name},
                    options=_WTDFN if name in ("resnet18", "resnet34", "resnet50", "resnet101") else _WTDFN_NO_STEM,
                    note=_INCEPTION_NOTES.get(name, ""),
                )
                for name in WTDFN_BACKBONES
            ),
            _spec(
                "vit_base_patch16", "vit", JIANG, 224, "blocks.11.norm1", fixed=_VIT_BASE, options=_VIT, note=_VIT_NOTE
            ),
            _spec("vit_tiny_patch16", "vit", OURS, 224, "blocks.11.norm1", fixed=_VIT_TINY, options=_VIT),
            _plain("efficientnet_b0", JIANG, 224),
            _spec("vit_cnn", "vit_cnn", JIANG, 224, "cnn.bn2", fixed=_VIT_BASE, options=_VIT_CNN, note=_VIT_NOTE),
            _spec("vit_tiny_cnn", "vit_cnn", OURS, 224, "cnn.bn2", fixed=_VIT_TINY, options=_VIT_CNN),
            *(_plain(name, JIANG, 224) for name in ("resnet50", "densenet121")),
            *(
                _spec(
                    name,
                    "inception",
                    LIU,
                    300,
                    "features",
                    fixed={"backbone": name},
                    options={"dropout": 0.2},
                    note=_INCEPTION_NOTES[name],
                )
                for name in ("inception_v1", "inception_v2")
            ),
            *(
                _plain(name, LIU, 300)
                for name in (
                    "resnet18",
                    "resnet34",
                    "resnet101",
                    "seresnext26",
                    "seresnext50",
                    "mobilenetv2",
                    "inception_v3",
                    "inception_v4",
                    "inception_resnet_v2",
                )
            ),
        )
    }
)
