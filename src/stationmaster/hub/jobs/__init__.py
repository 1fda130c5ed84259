"""What the hub does by itself, on time rather than on request."""
