"""A made-up Pinpoint event stream, for the demo, for load and for tests.

`world` says who and what exists (applications, journeys, people), `shapes` how the documents look, `stories` what
people do, `delivery` what a stream does to it on the way (late, twice, shuffled, malformed); `generator` puts them
together. Nothing here attributes anything: whoever wants to check a result needs something independent of it.
"""

from local.simulation.generator import Emitted, Simulation

__all__ = ["Emitted", "Simulation"]
