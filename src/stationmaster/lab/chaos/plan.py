"""Which faults strike what, and when: drawn from a seed, so that a run can be repeated. Pure.

Faults come in rounds: each of the table once in an order of its own, before any comes again. What a seed fixes is the
order, the targets and the lengths; what the machine makes of it is timing, and that no seed repeats.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence

SHORTEST, LONGEST = 5.0, 11.0


@dataclasses.dataclass(frozen=True)
class Strike:
    """One fault, on whom, for how many seconds, and how long after the world came to rest it strikes."""

    fault: str
    target: str
    seconds: float
    delay: float


def draw(seed: int, targets: Mapping[str, Sequence[str]], longest: float = LONGEST) -> Iterator[Strike]:
    """Strikes without end; ``targets`` says what each fault may be done to."""
    chance = random.Random(seed)
    while True:
        round_ = sorted(targets)
        chance.shuffle(round_)
        for fault in round_:
            target = chance.choice(sorted(targets[fault]))
            yield Strike(fault, target, round(chance.uniform(SHORTEST, longest), 1), round(chance.uniform(1.0, 4.0), 1))
