"""Given to the student, nothing to fill in: what the lab's own files rest on.

The lab and the commands use it; it knows nothing above it.
"""
