"""How data lie on the disk: the label table, and one file for each layout.

For data.py, the toy city and the commands; it knows no torch.
"""
