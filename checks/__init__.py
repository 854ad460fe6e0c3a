"""Behind the students' tests: `cases`, which run after them, and `diagnosis`, the likely cause.

For the students' tests, the companion and the grader; the lab itself knows nothing of it.
"""
