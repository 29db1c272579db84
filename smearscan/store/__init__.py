"""State and artefacts: what is to be done, what was done, and what it made."""
