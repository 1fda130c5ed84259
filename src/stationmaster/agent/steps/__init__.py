"""One effect on the instance per file."""
