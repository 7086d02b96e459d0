"""Labels for a whole pile of images from the names of a few."""
