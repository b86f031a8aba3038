"""Files that are written whole, checked before they are used, kept within a quota, and gone on with after a stop."""
