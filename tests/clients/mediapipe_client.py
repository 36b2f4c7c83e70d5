"""Classifies images with MediaPipe's ImageClassifier, as an app does; runs in its environment.

python mediapipe_client.py MODEL IMAGE… > JSON
"""

import json
import sys

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.metadata.metadata import MetadataDisplayer


def main() -> None:
    """Prints the metadata, and for each image the names and scores that the first head gives."""
    model, *images = sys.argv[1:]
    shown = MetadataDisplayer.with_model_file(model)
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        answers = []
        for image in images:
            result = classifier.classify(mp.Image.create_from_file(image))
            first = result.classifications[0]
            answers.append({c.category_name: c.score for c in first.categories})
    found = {
        "metadata": json.loads(shown.get_metadata_json()),
        "files": shown.get_packed_associated_file_list(),
        "head": first.head_name,
        "answers": answers,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
