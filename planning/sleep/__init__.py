"""Sleep."""
