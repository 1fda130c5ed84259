"""In-memory twins of the effects, shipped so that whoever builds on this code can test without them."""
