"""Where a network is wrong, and why: measured over a split, shown as one page.

`measure.py` counts, `calibration.py` asks whether its confidence is justified, `show.py` draws.
"""
