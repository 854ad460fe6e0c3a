"""A network on a page: behind an API (`main.py serve`) or in the visitor's browser (`main.py web`).

`page/` is static; it works the same whether a server or the browser itself runs the network.
"""
