"""What keeps a deployment in order: backup, restore, and what is kept for how long.

In: a project. Out: one file that holds everything; everything from that file; a list of what may go, and its removal.
"""
