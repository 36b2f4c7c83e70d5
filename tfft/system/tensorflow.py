"""Imports TensorFlow without the lines that it prints while it starts."""

import os
import sys
import warnings

from tfft.system.quiet import descriptors_kept_aside


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras quietly, once; every module that needs them may then.

    TensorFlow writes to file descriptor 2 before its own log level is in force, so the descriptor
    is pointed at a file meanwhile; the file is shown if the import fails.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    # Level 3: what goes wrong is raised as an exception; level 2 prints hints of kernels as errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with descriptors_kept_aside(2, shown_on_error=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
