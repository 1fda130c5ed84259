"""The machine's own package managers, behind one protocol (``base``); one file each."""
