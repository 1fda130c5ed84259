"""The two real engines of a station: nginx serves the mirror, squid is the way to the hub."""
