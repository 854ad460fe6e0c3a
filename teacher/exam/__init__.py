"""The quiz of the student edition and the written exam: questions whose numbers each name draws.

`questions/` makes them with the solved lab, in a process of its own; `pool.py` starts it.
"""
