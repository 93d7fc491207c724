"""All targets, each with its share of the time."""

from __future__ import annotations

from tests.fuzz import bombs, outputs, packets, peers, returned, verdicts
from tests.fuzz.engine import Target

TARGETS = (
    Target("outputs", outputs.case, share=3, limit_s=20),
    Target("values", returned.comparison, share=2, limit_s=5),
    Target("round_trips", returned.round_trip, share=1, limit_s=5),
    Target("forgeries", returned.forgery, share=2, limit_s=5),
    Target("verdicts", verdicts.case, share=2, limit_s=5),
    Target("packets", packets.case, share=1, limit_s=5),
    Target("results", packets.results, share=1, limit_s=5),
    # eight starts and endings of a slot at most, each of which waits for seconds in vain
    Target("peers", peers.case, share=4, limit_s=120),
    Target("bombs", bombs.case, share=1, limit_s=60),
)
