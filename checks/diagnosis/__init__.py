"""The known mistakes of each chapter: by the value that came, they name the likely cause.

For the cases alone, and only where one of them has failed.
"""
