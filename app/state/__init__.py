"""What one session holds: its workspace, the results in it, and the values of its controls."""
