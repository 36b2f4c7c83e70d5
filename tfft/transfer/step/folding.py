"""Frozen BatchNormalization folded into the convolution before it, in the graph of a step.

A BatchNormalization that keeps its stored statistics is a scale and a shift of each channel. As a
layer of its own it passes over all activations, forwards and, for the gradients of its input, gamma
and beta, three times more backwards. Here the kernel is scaled in every step instead, and the shift
becomes a bias: the same function of the same variables, and the same gradients, to rounding.
"""

from typing import Any

from tfft.system.tensorflow import keras, tf

from tfft.model.assemble import Cut


def folded(cut: Cut) -> Cut:
    """Returns a cut whose parts compute the same with fewer passes over the activations.

    Layers that are frozen now must stay so. The variables are those of the layers, which are as
    they were.
    """
    prefix = cut.prefix and _folded(cut.prefix)
    return Cut(prefix, _folded(cut.suffix))


def _folded(model: keras.Model) -> keras.Model:
    # By the id of what they gave, which is kept so that nothing else gets it: convolutions with
    # their inputs.
    convolutions: dict[int, tuple[Any, keras.layers.Layer, Any]] = {}

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if _is_frozen_norm(layer) and id(args[0]) in convolutions:
            _, convolution, inputs = convolutions[id(args[0])]
            return FoldedConvolution(convolution, layer)(inputs)
        outputs = layer(*args, **kwargs)
        if _is_plain_convolution(layer):
            convolutions[id(outputs)] = (outputs, layer, args[0])
        return outputs

    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call, recursive=True
    )


def _is_frozen_norm(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and not layer.trainable
        and layer.axis in (-1, 3)
        and layer.compute_dtype == "float32"
    )


def _is_plain_convolution(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and layer.compute_dtype == "float32"
    )


class FoldedConvolution(keras.layers.Layer):
    """A convolution with the scale and the shift of the normalisation after it.

    Args:
        convolution: A `Conv2D` or `DepthwiseConv2D` without activation.
        norm: A frozen `BatchNormalization` of its output.
    """

    def __init__(self, convolution: keras.layers.Layer, norm: keras.layers.Layer) -> None:
        super().__init__(dtype="float32")
        self.convolution = convolution
        self.norm = norm
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        convolution, norm = self.convolution, self.norm
        scale = tf.math.rsqrt(tf.convert_to_tensor(norm.moving_variance) + norm.epsilon)
        if norm.scale:
            scale *= norm.gamma
        shift = -norm.moving_mean * scale
        if convolution.use_bias:
            shift += convolution.bias * scale
        if norm.center:
            shift += norm.beta
        kernel = tf.convert_to_tensor(convolution.kernel)
        depthwise = type(convolution) is keras.layers.DepthwiseConv2D
        kernel *= tf.reshape(scale, kernel.shape[2:]) if depthwise else scale
        convolve: Any = keras.ops.depthwise_conv if depthwise else keras.ops.conv
        outputs = convolve(
            inputs,
            kernel,
            strides=tuple(convolution.strides),
            padding=convolution.padding,
            data_format=convolution.data_format,
            dilation_rate=convolution.dilation_rate,
        )
        return tf.nn.bias_add(outputs, shift)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.convolution.compute_output_shape(input_shape)
