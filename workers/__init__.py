"""Wires smearscan to Celery; holds no logic."""
