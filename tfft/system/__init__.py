"""What tfft needs of the machine: files that are whole or absent, a quiet TensorFlow, progress."""
