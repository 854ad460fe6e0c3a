"""A network on a page and behind an API: `main.py serve`, with requirements-serve.txt.

`page/` is static; it works the same whether a server or the browser itself runs the network.
"""
