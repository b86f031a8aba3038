"""Long work: what is started in the background, its progress, and how its results come to the workspace."""
