"""The networks, one family a file. Each file has a `build` that `smearscan.models.registry` calls; each needs torch."""
