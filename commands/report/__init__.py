"""A run, or several, as one page that opens from the disk: no network, no server.

Used by `train` at its end and by `compare`; imports only itself, `command_line` and `utils`.
"""
