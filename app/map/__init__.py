"""The map: what is drawn on it, the open data that lies under it, and how a browser gets it."""
