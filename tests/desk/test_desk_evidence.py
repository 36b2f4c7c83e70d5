"""What in a photo speaks for a class, as a desk shows it."""

import io

import numpy as np
from PIL import Image

from tfft.reports.photos import overlaid
from tfft.reports.saliency import saliency_of


def test_it_is_the_map_of_the_report_over_the_photo_as_the_model_sees_it(
    pictures, small_run, small_keras, client_of
):
    client = client_of(pictures, model=small_run)
    (photo,) = client.get("photos?search=red/2.jpg").json["photos"]
    pixels = small_keras.pixels([(pictures / "red" / "2.jpg").read_bytes()])
    saliency = saliency_of(small_keras.model, "label")
    named = int(small_keras.answers(pixels)["label"][0].argmax())
    for label, number in (("", named), ("blue", 0), ("red", 2)):
        address = f"photos/{photo['number']}/evidence.jpg?label={label}"
        served = Image.open(io.BytesIO(client.get(address).body))
        expected = overlaid(pixels[0], saliency(pixels, np.array([number]))[0])
        # Each pixel of so small an image is shown as a square of five.
        shown = np.asarray(served, np.float32)[2::5, 2::5]
        assert shown.shape == expected.shape
        assert np.abs(shown - expected).mean() < 6


def test_what_cannot_be_explained_is_said(pictures, small_run, client_of, client):
    assert "no model yet" in client.get("photos/0/evidence.jpg").json["error"]
    other = client_of(pictures, model=small_run)
    said = other.get("photos/0/evidence.jpg?label=gren").json["error"]
    assert (
        said
        == "the model does not know the class 'gren'; train again with it. Did you mean 'green'?"
    )
