"""The papers' recipes: what is trained on what, how, and what is compared. One TOML a row of their tables."""
