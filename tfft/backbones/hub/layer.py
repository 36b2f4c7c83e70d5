"""A SavedModel as a Keras layer that can be trained, saved and exported like any other."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.backbones.hub.module import Entrance, Module, load_module
from tfft.backbones.hub.source import write_copy
from tfft.errors import BackboneError
from tfft.untrusted.saved_model import scan_saved_model

_STATISTICS = ("moving_mean", "moving_variance")
_ASSET = "module"


@dataclass(eq=False)
class ModuleBatchNorm:
    """A batch normalisation inside a module.

    Attributes:
        moving_mean: Variable with the moving mean, float32 [channels].
        moving_variance: Variable with the moving variance, float32 [channels].
        trainable: Whether training updates its moving statistics. If any in the module is
            trainable, the whole module runs in its training mode, and the statistics of the others
            are put back after each step.
    """

    moving_mean: keras.Variable
    moving_variance: keras.Variable
    trainable: bool = False


@dataclass(frozen=True, eq=False)
class _Adopted:
    """What Keras and TensorFlow must not track besides the variables, and do not see in here.

    Attributes:
        module: The loaded module, which keeps the variables alive.
        files: Content of the module's files by name, without the values of variables.
        variables: The module's variables by its own names.
        batch_norms: The module's batch normalisations by scope.
    """

    module: Module = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    variables: dict[str, keras.Variable]
    batch_norms: dict[str, ModuleBatchNorm]


@keras.saving.register_keras_serializable(package="tfft")
class HubModule(keras.layers.Layer):
    """Calls a loaded SavedModel, and has its variables as its own.

    Each `tf.Variable` becomes the value of a Keras variable, so that gradients, optimizers and
    exports reach it. A saved layer carries the module's graph as an asset, so that it loads
    without the original module. It computes in float32 under every dtype policy.

    Args:
        output_shape: Shape of the activations, without the batch.
        signature: Name of the signature that is called; see `Entrance`.
        output: Key of the output that is used; see `Entrance`.
        options: Options of `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self,
        *,
        output_shape: tuple[int, ...],
        signature: str | None = None,
        output: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**{**options, "dtype": "float32"})
        # XLA compiles an unknown graph for minutes, if at all.
        self.supports_jit = False
        self._output_shape = tuple(output_shape)
        self._entrance = Entrance(signature, output)
        self._adopted: _Adopted | None = None
        self._values_to_come: dict[str, np.ndarray] = {}

    def adopt(self, module: Module, files: Mapping[str, bytes]) -> None:
        """Makes a loaded module the layer's own.

        Args:
            module: The loaded module.
            files: Content of its files by name; see `tfft.backbones.hub.source.copy_of`.
        """
        variables = {
            name: _adopted_variable(name, variable, name in module.trainable)
            for name, variable in module.variables.items()
        }
        batch_norms = _batch_norms(variables) if module.has_training_mode else {}
        self._adopted = _Adopted(module, files, variables, batch_norms)
        # A layer that is loaded receives its assets after it was built, when Keras has locked its
        # state. Keras 3.15.1 unlocks it in the same way where it quantizes layers.
        self._tracker.unlock()
        # Both Keras and TensorFlow track the elements of a list that is an attribute.
        self._tracked_variables = list(variables.values())
        self._tracker.lock()

    @property
    def module_variables(self) -> dict[str, keras.Variable]:
        """The variables by the names they have in the module."""
        return self._own.variables

    @property
    def batch_norms(self) -> dict[str, ModuleBatchNorm]:
        """The batch normalisations that can adapt, by scope."""
        return self._own.batch_norms

    @property
    def _own(self) -> _Adopted:
        if self._adopted is None:
            raise ValueError(f"{self.name} has no module: load it from a .keras file")
        return self._adopted

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        module, batch_norms = self._own.module, self.batch_norms.values()
        if training:
            for loss in module.regularization_losses:
                self.add_loss(loss())
        if not training or not any(norm.trainable for norm in batch_norms):
            return module.call(images, False)
        kept = [
            (statistic.value, tf.identity(statistic.value))
            for norm in batch_norms
            if not norm.trainable
            for statistic in (norm.moving_mean, norm.moving_variance)
        ]
        activations = module.call(images, True)
        with tf.control_dependencies([activations]):
            for variable, value in kept:
                variable.assign(value)
        return activations

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": list(self._output_shape),
            "signature": self._entrance.signature,
            "output": self._entrance.output,
        }

    def save_own_variables(self, store: Any) -> None:
        for name, variable in self.module_variables.items():
            store[_key(name)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Sets the values now if the module is loaded; a `.keras` file has them before it."""
        self._values_to_come = {key: np.array(store[key]) for key in store.keys()}  # noqa: SIM118
        if self._adopted is not None:
            self._take_values()

    def save_assets(self, directory: str) -> None:
        write_copy(dict(self._own.files), Path(directory) / _ASSET)

    def load_assets(self, directory: str) -> None:
        path = Path(directory) / _ASSET
        what = f"the module in layer {self.name}"
        scan_saved_model(path, what)
        files = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
        module = load_module(path, self._entrance, what, with_values=False)
        self.adopt(module, {name: file.read_bytes() for name, file in files.items()})
        self._take_values()

    def _take_values(self) -> None:
        values, self._values_to_come = self._values_to_come, {}
        missing = [name for name in self.module_variables if _key(name) not in values]
        if missing:
            raise BackboneError(
                f"the weights of {self.name} are those of another module: it lacks {missing[0]} "
                f"and {len(missing) - 1} more"
            )
        for name, variable in self.module_variables.items():
            variable.assign(values[_key(name)])


def _key(name: str) -> str:
    """Returns a variable's name in a weights file, where a slash would open a group."""
    return name.replace("/", "|")


def _adopted_variable(name: str, variable: tf.Variable, trainable: bool) -> keras.Variable:
    *scopes, leaf = name.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        # With its dtype unchanged Keras keeps the object itself, which the module's graph uses.
        return keras.Variable(variable, trainable=trainable, autocast=False, name=leaf)


def _batch_norms(variables: Mapping[str, keras.Variable]) -> dict[str, ModuleBatchNorm]:
    scopes = dict.fromkeys(name.rpartition("/")[0] for name in variables)
    found = {
        scope: [variables.get(f"{scope}/{name}" if scope else name) for name in _STATISTICS]
        for scope in scopes
    }
    return {
        scope: ModuleBatchNorm(mean, variance)
        for scope, (mean, variance) in found.items()
        if mean is not None and variance is not None
    }
