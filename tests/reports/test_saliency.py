"""Grad-CAM, computed by hand; the gradient of the pixels where there are no maps."""

import keras
import numpy as np

from tfft.reports.saliency import saliency_of

# One image of 2 x 2 pixels and 3 channels; as maps they are taken as they are.
_MAPS = np.array([[[[4.0, 0.0, 1.0], [0.0, 2.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 3.0]]]])
_KERNEL = np.array([[1.0, -1.0], [-2.0, 3.0], [0.5, 0.0]])


def classifier_on_maps() -> keras.Model:
    images = keras.Input((2, 2, 3))
    maps = keras.layers.Rescaling(1.0)(images)
    dense = keras.layers.Dense(2, name="label")
    model = keras.Model(images, {"label": dense(keras.layers.GlobalAveragePooling2D()(maps))})
    dense.set_weights([_KERNEL, np.zeros(2)])
    return model


def test_grad_cam_by_hand():
    """The gradient of a logit is its kernel over 4 at each place: the map is relu(A · w) / 4."""
    saliency = saliency_of(classifier_on_maps(), "label")
    assert saliency.method == "Grad-CAM"
    for k in range(2):
        expected = np.maximum(_MAPS[0] @ _KERNEL[:, k], 0) / 4
        maps = saliency.maps(_MAPS.astype(np.float32), np.array([k]))
        np.testing.assert_allclose(maps[0], expected, atol=1e-6)
    shown = saliency(_MAPS.astype(np.float32), np.array([0]))
    np.testing.assert_allclose(shown[0], [[1.0, 0.0], [0.0, 1.5 / 4.5]], atol=1e-6)


def test_each_image_is_explained_for_its_own_class():
    saliency = saliency_of(classifier_on_maps(), "label")
    both = saliency.maps(np.repeat(_MAPS, 2, axis=0).astype(np.float32), np.array([0, 1]))
    assert both[0, 0, 0] > 0
    assert both[1, 0, 0] == 0


def test_without_feature_maps_it_is_the_gradient_of_the_pixels():
    images = keras.Input((4, 4, 3))
    dense = keras.layers.Dense(2)
    model = keras.Model(images, {"label": dense(keras.layers.Flatten()(images))})
    kernel = np.zeros((48, 2))
    kernel[3 * 5 + 1, 1] = -2.0  # row 1, column 1, green
    dense.set_weights([kernel, np.zeros(2)])
    saliency = saliency_of(model, "label")
    assert saliency.method == "input gradient"
    (heat,) = saliency(np.zeros((1, 4, 4, 3), np.float32), np.array([1]))
    assert heat[1, 1] == 1.0
    assert heat.sum() == 1.0


def test_the_maps_of_a_head_are_found_beside_other_heads():
    images = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3)(images)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    heads = {name: keras.layers.Dense(2, name=name)(pooled) for name in ("a", "b")}
    saliency = saliency_of(keras.Model(images, heads), "b")
    assert saliency.method == "Grad-CAM"
    assert saliency(np.ones((2, 8, 8, 3), np.float32), np.array([0, 1])).shape == (2, 8, 8)
