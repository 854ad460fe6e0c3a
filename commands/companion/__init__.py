"""The student's companion: the TODOs and their markers, running the tests, updating an edition.

For lab.py, conftest.py and the teacher's tools; it knows the lab's files as text alone.
"""
