"""Slurm: sweeps of runs, batch scripts, and the folders of jobs.

For job.py; standard library only, so that it runs with a login node's own Python.
"""
