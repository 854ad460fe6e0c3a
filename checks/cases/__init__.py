"""The many further cases of each TODO, by chapter or TODO: sizes, types, extremes, odd answers.

`python lab.py check` and the grader run them after test_implementation.py.
"""
