"""What surrounds the training loop: run folder, checkpoints, progress, processes, hardware.

For training.py, data.py and the commands; it knows no data set and no file format of theirs.
"""
