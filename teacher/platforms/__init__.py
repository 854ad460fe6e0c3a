"""Learning platforms: their download folders read, their worksheets filled, feedback for them.

Moodle and Canvas, a file each. Nothing here talks to a platform: the teacher carries the files.
"""
