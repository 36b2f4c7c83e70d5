"""What is computed on images inside `tf.data`: decoding, augmentation, batches."""
