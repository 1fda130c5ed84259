"""The one door to effects: programs, files, sockets, HTTP and clocks.

Every other package takes these as arguments, so that a decision can be tested without them and an effect can be
replaced by a twin from ``stationmaster.testing``.
"""
