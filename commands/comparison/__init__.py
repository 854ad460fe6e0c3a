"""Runs side by side: reading their folders, the tables and the figures.

For `main.py compare`; it reads files and imports commands.command_line and utils alone, no torch.
"""
