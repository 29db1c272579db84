"""Attention layers of the four papers, one idea a file. Import a layer from its own module: each needs torch."""
