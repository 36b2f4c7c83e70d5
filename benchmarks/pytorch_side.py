"""EfficientNet-Lite0 in PyTorch, from timm, with which `pytorch.py` compares.

It runs in its own process and environment, and uses nothing of tfft. It prints one JSON document
per line: first what it runs, and then, for each line ``[task, way, calls]`` that it reads, the
seconds of that number of calls.
"""

import argparse
import copy
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

# Fold BatchNorm into the convolutions of compiled frozen networks; compile once per machine.
os.environ["TORCHINDUCTOR_FREEZING"] = "1"
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(sys.prefix) / "compiled")

import numpy as np
import torch
from torch._dynamo.exc import TorchDynamoException

Way = Callable[[], Any]
LAYOUTS = {"eager": torch.contiguous_format, "eager, channels_last": torch.channels_last}
COMPILED = "torch.compile"
FORWARD, STEP = "frozen forward", "training step"
WARM_UP = 3


class Scaled(torch.nn.Module):
    """A network on pixels 0..255, scaled as in the training of the weights."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network((pixels - 127.0) / 128.0)


def import_timm() -> ModuleType:
    """Imports timm, also if torchvision was built for another version of torch.

    timm imports torchvision, and here calls nothing compiled in it. If its compiled part does not
    load (that of PyPI needs CUDA), torchvision 0.28 fails because operators are not declared.
    """
    try:
        import timm
    except RuntimeError:
        declared = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import timm
    return timm


def network_with(weights: list[np.ndarray], classes: int) -> torch.nn.Module:
    """timm's network with these weights and statistics, given in the order of its own."""
    network = import_timm().create_model("tf_efficientnet_lite0", num_classes=classes)
    own = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: torch.from_numpy(v) for k, v in zip(own, weights, strict=True)}
    network.load_state_dict(given, strict=False)
    return network


def frozen_forward(network: torch.nn.Module, pixels: torch.Tensor, compiled: bool) -> Way:
    """Returns the function that computes pooled features [n, channels], in inference mode."""
    network = copy.deepcopy(network)
    network.reset_classifier(0)
    model = Scaled(network).eval()
    called = torch.compile(model) if compiled else model

    @torch.inference_mode()
    def forward() -> np.ndarray:
        return called(pixels).numpy()

    return forward


def training_step(
    network: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor, compiled: bool
) -> Way:
    """Returns a step of Adam on every parameter; BatchNorm keeps its statistics."""
    model = Scaled(copy.deepcopy(network)).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, eps=1e-7, fused=True)
    called = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(called(pixels), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def ways_of(
    network: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor
) -> dict[tuple[str, str], Way]:
    """Returns every way of each task; compiled ones have the layout channels_last."""
    ways: dict[tuple[str, str], Way] = {}
    for way, layout in {**LAYOUTS, COMPILED: torch.channels_last}.items():
        laid = copy.deepcopy(network).to(memory_format=layout)
        images = pixels.to(memory_format=layout)
        ways[FORWARD, way] = frozen_forward(laid, images, way == COMPILED)
        ways[STEP, way] = training_step(laid, images, labels, way == COMPILED)
    return ways


def seconds_of(way: Way, calls: int) -> float:
    """Wall-clock seconds of a number of calls, after one that is not counted."""
    way()
    started = time.perf_counter()
    for _ in range(calls):
        way()
    return time.perf_counter() - started


def main() -> None:
    """Reports what it runs, and times the requested tasks until its input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", help=".npz: images, labels, and weights under 0, 1, 2, …")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with np.load(options.inputs) as inputs:
        pixels = torch.from_numpy(inputs["images"]).permute(0, 3, 1, 2).contiguous()
        labels = torch.from_numpy(inputs["labels"])
        weights = [inputs[str(index)] for index in range(len(inputs.files) - 2)]
    network = network_with(weights, options.classes)
    ways = ways_of(network, pixels, labels)
    first, left_out = {}, []
    for key, way in list(ways.items()):
        try:
            first[key] = [way() for _ in range(WARM_UP)]
        except TorchDynamoException as error:  # there is no C++ compiler
            left_out.append([*key, str(error).splitlines()[0]])
            del ways[key]
    about = {
        "packages": {name: importlib.metadata.version(name) for name in ("torch", "timm")},
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "features": first[FORWARD, "eager"][0].tolist(),
        "losses": first[STEP, "eager"],
        "ways": list(ways),
        "left_out": left_out,
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        task, way, calls = json.loads(line)
        print(json.dumps(seconds_of(ways[task, way], calls)), flush=True)


if __name__ == "__main__":
    main()
