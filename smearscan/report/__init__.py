"""From a patient's result to what leaves the system: page, tables, cells for other programs.

content (what is said) → html (how it looks); tables, geojson beside it. Nothing is imported here: each part
stands alone and loads what it needs when it is used.
"""
