"""What keeps a deployment in order: backup, restore, and what is kept for how long."""
