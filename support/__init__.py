"""Given to the student: nothing in here has to be filled in."""
