"""Labelled sets of images: what is on disk, whether it is whole, who is in it, how it is split."""
