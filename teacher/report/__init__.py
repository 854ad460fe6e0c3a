"""The class at a glance: what a grading says of all submissions together, as one page.

The records of the grading are read (records.py), counted (causes.py) and shown (show.py).
"""
