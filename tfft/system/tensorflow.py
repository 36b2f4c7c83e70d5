"""Keras and TensorFlow, started quietly: ``from tfft.system.tensorflow import keras, tf``.

Every module that computes with them has this line, which the linter sorts before imports of their
internals. They are started here and nowhere else.
"""

import os
import warnings

from tfft.system.onednn import turn_on_where_faster
from tfft.system.own_process import without_unused_packages
from tfft.system.quiet import descriptors_kept_aside

# Level 3: what goes wrong is raised as an exception; level 2 prints hints of kernels as errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
if "KERAS_HOME" in os.environ:  # Keras would make a directory called `~`
    os.environ["KERAS_HOME"] = os.path.expanduser(os.environ["KERAS_HOME"])  # noqa: PTH111
turn_on_where_faster()
# TensorFlow writes to file descriptor 2 before its own log level is in force, so the descriptor is
# pointed at a file meanwhile; the file is shown if the import fails.
with (
    descriptors_kept_aside(2, shown_on_error=True),
    warnings.catch_warnings(),
    without_unused_packages(),
):
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf
    from tensorflow.python.util import _pywrap_util_port

    tf.config.list_physical_devices()
    tf.get_logger().setLevel("ERROR")
# Whether TensorFlow computes with oneDNN, which it does not say elsewhere.
ONEDNN = "on" if _pywrap_util_port.IsMklEnabled() else "off"

__all__ = ["ONEDNN", "keras", "tf"]
