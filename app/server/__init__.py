"""What all sessions of a server share: its limits, its queue of long work, its caches and folders."""
