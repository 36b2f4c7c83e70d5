"""One exact way from encoded bytes to pixels, with numpy and Pillow alone."""
