"""A model of the HA protocol that is explored: the real decisions of hub and stations, on a world of few values.

One or two sources, two to four stations on one or more volumes, the processes of a hub on one database, upstreams,
balancers that are late by their check window, clients that read a list and ask for what it names. Time goes in units of
two seconds, the pace of heartbeats; every age stops at a value beyond the largest limit, so that worlds are finitely
many. What is modelled is what can go wrong in between (`events`); what must never be is looked at after each step
(`invariants`, `serving`), and from every world the ways to rest are followed (`explore`).

``python -m stationmaster.testing.exploration`` explores exhaustively (`make explore`).
"""
