"""Likeness: which answers of a class are alike beyond what the task itself makes alike.

Winnowing (Schleimer, Wilkerson, Aiken: "Winnowing: Local Algorithms for Document Fingerprinting",
SIGMOD 2003) over the tokens of each TODO's answer. tokens.py makes them, winnowing.py the
fingerprints, compare.py the pairs, show.py the page.
"""
