"""The lab: hosts as network namespaces on this machine, with the real programs, for the demo and the acceptance tests.

The lab makes hosts, kills them and cuts their network; what runs on them are the commands and daemons a person would
use. Nothing here is imported by the product. Traffic never leaves the machine: no lab network is joined to its own.
"""
