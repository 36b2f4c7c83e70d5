"""Keys that people know from Keras, PyTorch or timm, and where tfft has what they mean."""

from collections.abc import Mapping
from typing import Any

from tfft.catalog.backbones import backbone_specs
from tfft.catalog.spec import BackboneSpec
from tfft.config.loading.source import Path
from tfft.config.train import GradientPhase

_PHASES = "train.strategy or in train.phases.N"
_EPOCHS = f"epochs are in {_PHASES}"
_RATE = f"the learning rate is in {_PHASES}, as learning_rate"
_SIZE = "the size of the images is image.size_px"
_CLASSIFIER = "a backbone never has its classifier: heads take its place"
_CLASSES = "the classes are those of the data"
_PIXELS = "the model scales pixels itself, as its backbone wants them"
_LOSS = "the loss follows from heads.NAME.kind; that of classes may be heads.NAME.loss: focal"
_CLASS_WEIGHTS = "class weights are heads.NAME.class_weights: balanced, or {CLASS: WEIGHT, …}"
_UNFREEZE = (
    "what is trained is train.phases.N.unfreeze: none, all, {last_blocks: N} or {patterns: […]}"
)
_AUGMENT = "augmentation is train.phases.N.augment"
_SCHEDULE = "the learning-rate schedule is train.phases.N.schedule"
_STOP = "early stopping is train.phases.N.early_stop: {patience_epochs: N}"
_PRECISION = "precision is train.mixed_precision"
_WHERE = "images are under data: {kind: image_folder, path: DIR}, or given by --data DIR"
_VALIDATION = "the share of validation images is data.validation_fraction"
_TEST = "the share of test images is data.test_fraction"
_ORDER = "images are always shuffled, in an order that follows from seed"
_MACHINE = "tfft uses the processors and devices that are there"

# Keys that a recipe does not have where they were written, by their last part without case and _.
_KEYS: Mapping[str, str] = {
    "epochs": _EPOCHS,
    "numepochs": _EPOCHS,
    "nbepochs": _EPOCHS,
    "maxepochs": _EPOCHS,
    "epoch": _EPOCHS,
    "stepsperepoch": "train.phases.N takes steps in place of epochs",
    "steps": "steps are in train.phases.N, in place of epochs",
    "maxsteps": "steps are in train.phases.N, in place of epochs",
    "learningrate": _RATE,
    "lr": _RATE,
    "baselr": _RATE,
    "initiallearningrate": _RATE,
    "batchsize": "the batch size is train.batch_size",
    "batch": "the batch size is train.batch_size",
    "bs": "the batch size is train.batch_size",
    "optimizer": "the optimizer is train.optimizer: {name: adamw}",
    "optim": "the optimizer is train.optimizer: {name: adamw}",
    "opt": "the optimizer is train.optimizer: {name: adamw}",
    "momentum": "momentum is in train.optimizer: {name: sgd, momentum: 0.9}",
    "weightdecay": f"weight decay is in {_PHASES}, as weight_decay",
    "clipnorm": "gradient clipping is train.optimizer.clip_norm",
    "phases": "phases are in train.phases",
    "strategy": "the strategy is train.strategy",
    "schedule": _SCHEDULE,
    "scheduler": _SCHEDULE,
    "lrschedule": _SCHEDULE,
    "lrscheduler": _SCHEDULE,
    "warmup": "the warm-up is train.phases.N.schedule.warmup_epochs",
    "warmupepochs": "the warm-up is train.phases.N.schedule.warmup_epochs",
    "trainable": _UNFREEZE,
    "unfreeze": _UNFREEZE,
    "freeze": _UNFREEZE,
    "freezebackbone": _UNFREEZE,
    "frozen": _UNFREEZE,
    "finetune": _UNFREEZE,
    "finetuneat": _UNFREEZE,
    "unfreezelayers": _UNFREEZE,
    "trainablelayers": _UNFREEZE,
    "lastblocks": _UNFREEZE,
    "augment": _AUGMENT,
    "augmentation": _AUGMENT,
    "augmentations": _AUGMENT,
    "dataaugmentation": _AUGMENT,
    "transforms": _AUGMENT,
    "mixup": "mixing of images is train.phases.N.mix: {kind: mixup}",
    "cutmix": "mixing of images is train.phases.N.mix: {kind: cutmix}",
    "patience": _STOP,
    "earlystop": _STOP,
    "earlystopping": _STOP,
    "callbacks": f"there are no callbacks; {_STOP}, and checkpoints are always written",
    "checkpoint": "checkpoints are always written; how often is train.checkpoint_seconds",
    "monitor": "what chooses the best weights is train.monitor",
    "metrics": "metrics follow from heads.NAME.kind; train.monitor chooses the best weights by one",
    "loss": _LOSS,
    "criterion": _LOSS,
    "lossfunction": _LOSS,
    "losses": _LOSS,
    "labelsmoothing": "label smoothing is heads.NAME.label_smoothing",
    "classweight": _CLASS_WEIGHTS,
    "classweights": _CLASS_WEIGHTS,
    "focalloss": "the focal loss is heads.NAME.loss: focal",
    "gamma": "that of the focal loss is heads.NAME.focal_gamma",
    "dropout": "dropout is heads.NAME.dropout",
    "dropoutrate": "dropout is heads.NAME.dropout",
    "pooling": "pooling is heads.NAME.pooling",
    "activation": "the activation follows from heads.NAME.kind",
    "classifieractivation": "the activation follows from heads.NAME.kind",
    "classmode": "one class or several labels is heads.NAME.kind",
    "labelmode": "one class or several labels is heads.NAME.kind",
    "head": "heads are in heads, by names of your own",
    "includetop": _CLASSIFIER,
    "top": _CLASSIFIER,
    "classes": _CLASSES,
    "numclasses": _CLASSES,
    "nbclasses": _CLASSES,
    "classnames": _CLASSES,
    "labels": _CLASSES,
    "inputshape": _SIZE,
    "inputsize": _SIZE,
    "imagesize": _SIZE,
    "imgsize": _SIZE,
    "imsize": _SIZE,
    "targetsize": _SIZE,
    "sizepx": _SIZE,
    "size": _SIZE,
    "height": _SIZE,
    "width": _SIZE,
    "colormode": "the channels of the images are image.channels",
    "channels": "the channels of the images are image.channels",
    "preprocessing": _PIXELS,
    "preprocessinginput": _PIXELS,
    "preprocessinput": _PIXELS,
    "rescale": _PIXELS,
    "rescaling": _PIXELS,
    "normalize": _PIXELS,
    "normalization": _PIXELS,
    "mean": _PIXELS,
    "std": _PIXELS,
    "model": "the pretrained model is backbone",
    "basemodel": "the pretrained model is backbone",
    "architecture": "the pretrained model is backbone",
    "arch": "the pretrained model is backbone",
    "pretrained": "pretrained or random weights are backbone.weights: imagenet or random",
    "weights": "weights are backbone.weights: imagenet, random or a file",
    "dataset": _WHERE,
    "directory": _WHERE,
    "datadir": _WHERE,
    "dir": _WHERE,
    "folder": _WHERE,
    "root": _WHERE,
    "path": _WHERE,
    "traindir": _WHERE,
    "trainpath": _WHERE,
    "validationsplit": _VALIDATION,
    "valsplit": _VALIDATION,
    "validation": _VALIDATION,
    "validationfraction": _VALIDATION,
    "testsplit": _TEST,
    "testsize": _TEST,
    "testfraction": _TEST,
    "shuffle": _ORDER,
    "seed": "the seed of the run is seed, at the top of the recipe",
    "randomseed": "the seed of the run is seed, at the top of the recipe",
    "randomstate": "the seed of the run is seed, at the top of the recipe",
    "precision": _PRECISION,
    "mixedprecision": _PRECISION,
    "fp16": _PRECISION,
    "amp": _PRECISION,
    "dtype": _PRECISION,
    "device": _MACHINE,
    "gpu": _MACHINE,
    "gpus": _MACHINE,
    "workers": _MACHINE,
    "numworkers": _MACHINE,
    "outputdir": "the directory of the run is given by tfft train --run DIR",
    "output": "the directory of the run is given by tfft train --run DIR",
    "logdir": "the directory of the run is given by tfft train --run DIR",
    "formats": "what is exported is export.formats",
    "tflite": "the TFLite files are export.tflite",
    "quantize": "int8 files are export.tflite.precisions: [int8]",
    "quantization": "int8 files are export.tflite.precisions: [int8]",
}

# The key that a word or number stands for which was written in place of a whole section.
_MEANT: Mapping[str, str] = {
    "image": "size_px",
    "train": "strategy",
    "optimizer": "name",
    "schedule": "kind",
    "mix": "kind",
    "early_stop": "patience_epochs",
    "l2sp": "alpha",
    "cache": "mode",
    "unfreeze": "last_blocks",
}


def hint_for_key(path: Path) -> str:
    """Returns where a recipe has what an unknown key means; "" if nothing is known of it."""
    key = str(path[-1])
    if path[:2] == ("train", "phases") and key in GradientPhase.model_fields:
        return "it belongs to a phase by gradient steps; with solver: linear the heads are solved"
    return _KEYS.get(key.replace("_", "").replace("-", "").lower(), "") if len(key) < 30 else ""


def section_form(path: Path, value: Any) -> str:
    """Returns the section that a word or number in its place stands for, as YAML; or ""."""
    if not path or isinstance(value, bool | dict | list) or value is None or len(str(value)) > 60:
        return ""
    key = str(path[-1])
    if key == "backbone":
        return f"{key}: {_backbone_form(str(value))}"
    if key == "data":
        is_path = "/" in str(value) or str(value).startswith((".", "~"))
        return f"{key}: {{kind: {'image_folder, path' if is_path else 'tfds, name'}: {value}}}"
    if len(path) == 2 and path[0] == "heads":
        return f"{key}: {{kind: {value}}}"
    return f"{key}: {{{_MEANT[key]}: {value}}}" if key in _MEANT else ""


def kind_of_backbone(name: Any) -> str:
    """Returns the kind of the backbone of this name in the catalog, whatever its case; or ""."""
    spec = _spec_called(str(name))
    return spec.kind if spec else ""


def _spec_called(name: str) -> BackboneSpec | None:
    return {spec.name.lower(): spec for spec in backbone_specs()}.get(name.lower())


def _backbone_form(text: str) -> str:
    if spec := _spec_called(text):
        return f"{{kind: {spec.kind}, name: {spec.name}}}"
    if text.endswith(".keras") or text.startswith("runs/"):
        return f"{{kind: keras, path: {text}}}"
    is_module = "://" in text or text.endswith((".tar.gz", ".tgz", ".tar"))
    return f"{{kind: hub, handle: {text}}}" if is_module else f"{{kind: application, name: {text}}}"
