"""The queue's commands, added to `smearscan` by entry points: thin."""
