"""From pixels to pairs: images, codes, the grid, pairing, and the pictures cut out."""
