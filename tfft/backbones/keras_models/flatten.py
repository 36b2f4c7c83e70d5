"""Rebuilds a Functional model for images of another size or precision, as one flat graph.

Models inside a model are opened, and so are layers that are stacks of others, such as the encoder
of a vision transformer: only operations of the graph itself can be divided into blocks.
"""

import inspect
import math
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from tfft.system.tensorflow import keras

from tfft.backbones.graph import graph_nodes, is_composite
from tfft.catalog.image_size import ImageSize, sides

Call = Callable[..., Any]


def flattened(
    model: keras.Model, size_px: ImageSize, *, weights: bool, entrance: Call | None = None
) -> keras.Model:
    """Rebuilds a model under the current dtype policy, with all its layers trainable.

    Layers that only augment images (such as `RandomFlip`) are left out.

    Args:
        model: Functional or Sequential model with one input.
        size_px: Height and width in pixels of the images that the new model takes.
        weights: Whether to copy the weights of `model`; if not, the layers' initialisers draw
            new ones.
        entrance: Layer that is applied to the images first; None: no layer.

    Raises:
        ValueError: A layer cannot take this size, or its weights belong to another size or to a
            grid of another shape.
    """
    images: Any = keras.Input((*sides(size_px), 3), name="images")
    entered = images if entrance is None else entrance(images)
    with warnings.catch_warnings():
        # Some layers make their variables only when they are first called (KerasHub's Swin).
        warnings.filterwarnings("ignore", "Layer .* looks like it has unbuilt state", UserWarning)
        outputs = _Copier(weights).run(model, [entered])
    return keras.Model(images, outputs[0] if len(outputs) == 1 else outputs, name=model.name)


class _Copier:
    """Calls copies of a model's layers in the model's order."""

    def __init__(self, weights: bool) -> None:
        self._weights = weights
        self._calls: dict[int, Call] = {}
        self._copies: list[tuple[keras.Layer, keras.Layer]] = []
        self._names: Counter[str] = Counter({"images": 1})

    def run(self, model: keras.Model, inputs: list[Any]) -> list[Any]:
        """Returns the outputs of the copied `model` on `inputs`."""
        known = dict(zip((id(t) for t in model.inputs), inputs, strict=True))
        for node in graph_nodes(model):
            if all(id(tensor) in known for tensor in node.outputs):
                continue  # an input
            arguments, named = node.arguments.fill_in(known)
            call = self._calls.get(id(node.operation))
            if call is None:
                given = keras.tree.flatten((arguments, named))
                tensors = [value for value in given if isinstance(value, keras.KerasTensor)]
                call = self._calls[id(node.operation)] = self._call(node.operation, tensors)
            results = keras.tree.flatten(call(*arguments, **named))
            if self._weights:
                _require_same_grid(node, known, results)
            known.update(zip((id(t) for t in node.outputs), results, strict=True))
            # A layer is built, and so has weights, once it has been called.
            while self._copies:
                original, copy = self._copies.pop()
                if self._weights:
                    copy.set_weights(original.get_weights())
        return [known[id(tensor)] for tensor in model.outputs]

    def _call(self, operation: Any, tensors: list[Any]) -> Call:
        """Returns what is called in place of an operation that takes `tensors`."""
        inner = _opened(operation, tensors)
        if inner is not None:
            return lambda *inputs, **_: self.run(inner, keras.tree.flatten(inputs))
        kind = type(operation)
        augments = kind.__module__.startswith("keras.") and "image_preprocessing" in kind.__module__
        if augments and "Random" in kind.__name__:
            return lambda images, **_: images
        return self._copy(operation)

    def _copy(self, operation: Any) -> Any:
        config = operation.get_config()
        if isinstance(operation, keras.Layer):
            policy = keras.saving.serialize_keras_object(keras.config.dtype_policy())
            config = _with_policy(config, policy)
        self._names[operation.name] += 1
        if "name" in config and self._names[operation.name] > 1:
            config["name"] = f"{operation.name}_{self._names[operation.name]}"
        kind: Any = type(operation)
        try:
            copy = kind.from_config(config)
        except TypeError:
            copy = _repaired(kind).from_config(config)
        if isinstance(copy, keras.Layer):
            copy.trainable = True
            self._copies.append((operation, copy))
        return copy


def _require_same_grid(node: Any, known: dict[int, Any], results: list[Any]) -> None:
    """Requires of tokens that are as many as before that they lie as before.

    What a transformer knows of a position belongs to a place in the grid of 14 x 14, say, and would
    be taken for that of another place in one of 7 x 28, without any error.

    Raises:
        ValueError: They lie in a grid of another shape.
    """
    grids = [tensor for tensor in node.inputs if len(tensor.shape) == 4]
    if len(grids) != 1 or len(node.outputs) != 1 or len(node.outputs[0].shape) != 3:
        return
    (_, *before, _), (_, *now, _) = grids[0].shape, known[id(grids[0])].shape
    tokens = node.outputs[0].shape[1]
    if None in (*before, tokens) or tokens != results[0].shape[1]:
        return
    patch = math.sqrt(math.prod(before) / tokens)
    if any(abs(side - other) >= patch for side, other in zip(before, now, strict=True)):
        raise ValueError(
            f"{node.operation.name} has positions for {before[0]} x {before[1]}, and as many lie "
            f"otherwise in {now[0]} x {now[1]}"
        )


def _opened(operation: Any, tensors: list[Any]) -> keras.Model | None:
    """Returns the graph inside a model or a stack of layers; None for any other operation."""
    if isinstance(operation, keras.Model):
        return operation
    if not _is_stack(operation) or len(tensors) != 1:
        return None
    inputs: Any = keras.Input(batch_shape=tensors[0].shape, dtype=tensors[0].dtype)
    try:
        return keras.Model(inputs, keras.tree.flatten(operation.call(inputs)))
    except (ValueError, TypeError):  # it does more than call layers, and stays one operation
        return None


def _is_stack(operation: Any) -> bool:
    """Returns whether a layer without weights of its own has several composite layers alike."""
    if not isinstance(operation, keras.Layer) or not operation.weights:
        return False
    inner = list(operation._flatten_layers(include_self=False, recursive=False))
    of_one_class = Counter(type(layer) for layer in inner if is_composite(layer))
    own = len(operation._trainable_variables) + len(operation._non_trainable_variables)
    return not own and max(of_one_class.values(), default=0) > 1


def _repaired(kind: Any) -> Any:
    """Returns a layer class of the same name whose config has only arguments that it accepts.

    Some layers of KerasHub 0.32 (of ViT, DeiT, MiT) write arguments into their config that they do
    not accept, so that no saved file with them can be loaded. As the repaired class has the name
    and module of the original, Keras loads the original from the repaired config.
    """
    accepted = {"name", "trainable", "dtype", *inspect.signature(kind.__init__).parameters}

    def only_accepted(config: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in config.items() if key in accepted}

    def get_config(self: Any) -> dict[str, Any]:
        return only_accepted(kind.get_config(self))

    def from_config(cls: Any, config: dict[str, Any]) -> Any:
        return cls(**only_accepted(config))

    members = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "get_config": get_config,
        "from_config": classmethod(from_config),
    }
    return type(kind.__name__, (kind,), members)


def _with_policy(config: Any, policy: Any) -> Any:
    """Returns a layer's config with every dtype policy in it replaced by `policy`."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return policy
        return {key: _with_policy(value, policy) for key, value in config.items()}
    if isinstance(config, list):
        return [_with_policy(value, policy) for value in config]
    return config
