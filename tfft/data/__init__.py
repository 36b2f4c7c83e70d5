"""Sources of images, their checks and splits, and the tf.data pipelines over them."""
