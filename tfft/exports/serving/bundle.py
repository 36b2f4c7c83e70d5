"""What a server needs beside a SavedModel: its configuration, and examples of requests."""

from importlib import resources
from pathlib import Path
from string import Template

from tfft.system.tensorflow import tf

from tfft.config.recipe import MAX_REQUEST_IMAGES
from tfft.images.formats import MAX_PIXELS
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import answer_name, answer_names, logits_name
from tfft.runtime.signatures import FLOAT32, name_in_model, taken_by
from tfft.system.files import write_text
from tfft.system.names import UNLIKENESS

FILES = (
    "README.md",
    "batching_parameters.txt",
    "docker-compose.yaml",
    "models-labels.config",
    "models.config",
)


def write_bundle(directory: Path, info: ModelInfo, versions: list[int]) -> None:
    """Writes `FILES` for TF Serving beside the versions of a SavedModel.

    Args:
        directory: Directory ``<export>/serving``; each of its files is replaced as a whole.
        info: Description of the newest version.
        versions: Numbers of all versions of the export.
    """
    newest = sorted(versions)[-2:]
    values = {
        "name": info.name,
        "newest": newest[-1],
        "stable": newest[0],
        "canary": newest[-1],
        "versions": " ".join(f"versions: {number}" for number in newest),
        "tensorflow_version": tf.__version__,
        "max_request_images": MAX_REQUEST_IMAGES,
        "float32": name_in_model(FLOAT32, info),
        "default": name_in_model(taken_by("serving_default", info), info),
        "height": info.pixels.height,
        "width": info.pixels.width,
        "channels": info.pixels.channels,
        "max_megapixels": MAX_PIXELS // 1_000_000,
        "outputs": _outputs_table(info),
        **_answer_lines(info),
    }
    templates = resources.files("tfft.exports.serving") / "bundle_files"
    for file in FILES:
        template = Template((templates / file).read_text(encoding="utf-8"))
        write_text(directory / file, template.substitute(values))


def _outputs_table(info: ModelInfo) -> str:
    heads = info.heads
    rows = ["| output | float32 | |", "| --- | --- | --- |"]
    for name, head in heads.items():
        answer, logits = answer_name(name, heads), logits_name(name, heads)
        if head.kind == "box":
            meaning = "(ymin, xmin, ymax, xmax), shares of the pixels"
            rows.append(f"| `{answer}` | [batch, 4] | {meaning} |")
        elif head.kind == "regression":
            rows.append(f"| `{answer}` | [batch, 1] | the number |")
        else:
            shape = f"[batch, {len(head.class_names)}]"
            where = f"class k is line k (from 0) of `VERSION/assets/{name}_labels.txt`"
            if head.thresholds:
                where += (
                    "; it applies above number k of the head's `thresholds` in "
                    "`VERSION/assets.extra/tfft.json`"
                )
            for point in head.operating_points:
                k = head.class_names.index(point.label)
                where += (
                    f"; class {k} applies above {point.threshold:.6g}, which was chosen for a "
                    f"{point.goal} of at least {point.at_least:g}"
                )
            rows.append(f"| `{answer}` | {shape} | 0..1; {where} |")
            rows.append(f"| `{logits}` | {shape} | before the softmax or sigmoid |")
    if info.unsure is not None:
        meaning = "0 or more; above 1 the image is less like the training images than "
        meaning += f"{info.unsure.keep:.0%} of known images are: the model is unsure"
        rows.append(f"| `{UNLIKENESS}` | [batch, 1] | {meaning} |")
    return "\n".join(rows)


def _answer_lines(info: ModelInfo) -> dict[str, str]:
    """Returns the lines of the examples that print each head's answer.

    REST does not name an output that is the only one.
    """
    rest, grpc = ['outputs = answer.json()["outputs"]'], []
    heads, names = info.heads, list(answer_names(info).values())
    is_single = len(names) == 1 and logits_name(next(iter(heads)), heads) is None
    for name in names:
        rest.append("print(outputs[0])" if is_single else f'print("{name}", outputs["{name}"][0])')
        grpc.append(f'print("{name}", tf.make_ndarray(outputs["{name}"])[0])')
    return {"rest_lines": "\n".join(rest), "grpc_lines": "\n".join(grpc)}
