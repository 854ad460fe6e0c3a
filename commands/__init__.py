"""What stands behind main.py, job.py and lab.py: a file or a folder for each command.

The entrances import it; the lab (data, models, losses, metrics, training, deploy) never does.
"""
