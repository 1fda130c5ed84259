"""The mirror engine: brings whole, verified generations of RPM and DEB sources onto a volume and publishes them.

It knows nothing of the hub or of stations (design section 5): a station and the command ``mirror`` use it
alike, through ``engine.Engine``, ``volume.Volume`` and ``catalog``.
"""
