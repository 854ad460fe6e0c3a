"""The lab handed out where teachers are: what Classroom 50 and Gradescope take.

Each writes files that grade with `python -m teacher grade`, in its sandbox, wherever they run.
"""
