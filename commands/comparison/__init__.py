"""Runs side by side: reading their folders, the tables and the figures.

For `main.py compare`; it reads files and imports nothing of the lab but utils.
"""
