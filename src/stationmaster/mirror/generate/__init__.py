"""Generated sources: part of what a volume holds, as a repository of its own, restricted rightly and signed.

Custom (by filter, package list or manifest), newest-N and frozen sources. The same input generations and recipe give
the same bytes on each volume; packages are linked from the pool, never copied. ADR 10 says how and why.
"""
