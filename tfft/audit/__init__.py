"""What looks wrong in a set of images, over all of them."""
