"""What a model server needs beside a SavedModel: configuration, warm-up, publishing, a check."""
