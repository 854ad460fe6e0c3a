"""How data lie on the disk: label sets, and one file for each layout.

For data.py, the toy city and the commands; it knows no torch.
"""
