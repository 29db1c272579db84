"""The pipeline as chunks over a state: what each stage makes, from what, and what follows it."""
