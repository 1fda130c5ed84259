"""A model of the HA protocol that is explored: the real decisions of hub and stations, on a world of few values.

One source, two or three stations on one or more volumes, a hub, an upstream, balancers that are late by their check
window. Time goes in units of two seconds, the pace of heartbeats; every age stops at a value beyond the largest limit,
so that there are finitely many worlds. What is modelled is what can go wrong in between: a crash, a freeze, a hub that
does not hear or is not heard, one that restarts or comes from a backup, slow work, an upstream that goes on or back, a
removal that was begun and is carried out later.

``python -m stationmaster.testing.exploration`` explores exhaustively (`make explore`).
"""
