"""Chaos: faults drawn from a seed, one after another, on a group under load, and what must be true after each.

``plan`` draws, ``faults`` is the table of what can be done, ``strikes`` how, ``stage`` the group it is done to,
``churn`` the upstream that never rests, ``inventory`` looks at every byte that a station serves, ``campaign`` conducts,
``report`` judges each fault, ``outcome`` the whole, and ``tabulation`` shows it.
"""
