"""The text and the notebooks as one site, that needs nothing from the network.

`site.py` makes it, by Sphinx; `conf.py`, `index.md` and `static/` say how it looks.
"""
