"""The teacher's side of the lab; no part of it goes into the student edition.

For `python -m teacher`; it reads the lab's files as text and runs them in processes of their own.
"""
