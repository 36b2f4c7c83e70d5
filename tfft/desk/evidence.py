"""What in a photo is evidence for a class, asked of the model of a run when it is wanted."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfft.desk.photos import Photos
from tfft.desk.pictures import LARGE_PX, jpeg
from tfft.errors import UsageError, nearest

if TYPE_CHECKING:
    from tfft.reports.saliency import Saliency
    from tfft.runtime.keras_predictor import KerasPredictor


class Evidence:
    """Draws maps of evidence over photos; it loads a run's model for the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[Path, KerasPredictor, Saliency] | None = None

    def __call__(self, run: Path, photos: Photos, place: int, label: str) -> bytes:
        """Returns a photo as the model sees it, in grey, with what speaks for a class laid over it.

        Args:
            run: The run.
            photos: The photos.
            place: Place of the photo.
            label: The class; "" for the one that the model names.

        Returns:
            A JPEG file.

        Raises:
            UsageError: The model does not know the class.
            DataError: The photo cannot be read any more.
        """
        from tfft.reports.photos import overlaid

        encoded = photos.index.read(place)
        with self._lock:
            predictor, saliency = self._of(run)
            pixels = predictor.pixels([encoded])
            ((head, info),) = predictor.info.heads.items()
            number = int(predictor.answers(pixels)[head][0].argmax())
            if label:
                if label not in info.class_names:
                    raise UsageError(
                        f"the model does not know the class {label!r}; train again with it."
                        f"{nearest(label, info.class_names)}"
                    )
                number = info.class_names.index(label)
            heat = saliency(pixels, np.array([number]))[0]
        drawn = np.clip(np.rint(overlaid(pixels[0], heat)), 0, 255).astype(np.uint8)
        return jpeg(drawn, LARGE_PX)

    def _of(self, run: Path) -> "tuple[KerasPredictor, Saliency]":
        from tfft.evaluation.answers import load_run
        from tfft.reports.saliency import saliency_of

        if self._loaded is None or self._loaded[0] != run:
            predictor = load_run(run)
            saliency = saliency_of(predictor.model, next(iter(predictor.info.heads)))
            self._loaded = run, predictor, saliency
        return self._loaded[1:]
