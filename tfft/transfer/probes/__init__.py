"""What features tell before a training: block by block, and of several backbones."""
