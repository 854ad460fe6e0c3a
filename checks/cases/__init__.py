"""The many further cases of each TODO, a file per chapter: sizes, types, extremes, odd answers.

`python lab.py check` and the grader run them after test_implementation.py.
"""
