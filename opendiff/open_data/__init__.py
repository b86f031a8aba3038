"""What is openly known about tiles: imagery, population and POI, read from a pack, and as plain numbers."""
