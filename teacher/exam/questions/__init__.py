"""Fifty questions, five for each chapter, whose answers the lab's own solved functions compute.

They import the lab, and so run in a process of their own: `python -m teacher.exam.questions`.
"""
