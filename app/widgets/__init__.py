"""Pieces of pages: controls, captions and charts with their text alternatives."""
