"""The teacher's side of the lab; no part of it goes into the student edition."""
