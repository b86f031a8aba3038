"""Uploaded counters laid on the cells of a network, for every plan and map made in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.server import jobs

if TYPE_CHECKING:
    from plannerbase.counters import Counters
    from planning.coverage import Coverage
    from planning.demand import Demand
    from planning.network import Network


@dataclass(frozen=True)
class OnCells:
    """What plans are made for, as counters say where cells were measured. sentences: what they say, in words.

    held_out: the demand that plans are replayed on; it takes the real weeks that follow those of `demand`.
    """

    network: Network
    coverage: Coverage
    demand: Demand
    held_out: Demand | None = None
    sentences: tuple[str, ...] = ()


def laid(job: jobs.Job, counters: Counters | None, plain: OnCells) -> OnCells:
    """The same, as the counters say; unchanged without any, and for a network of which no cell was measured."""
    from planning.counted import counted_demand, counted_network, counted_of, counters_sentence
    from planning.errors import InputError

    if counters is None:
        return plain
    job.report(0, 0, "laying the counters on cells")
    try:
        counted = counted_of(counters, plain.network, "the counters")
    except InputError:  # another network, such as one that was planned here
        sentence = "The uploaded counters name no cell of this network; all traffic is generated."
        return replace(plain, sentences=(*plain.sentences, sentence))
    network, notes = counted_network(plain.network, counted)
    if counters.unit != "Mbit/s":
        return replace(plain, network=network, sentences=(*plain.sentences, *notes))
    demand, coverage = counted_demand(plain.demand, counted, plain.coverage)
    held_out = plain.held_out
    if held_out is not None:
        held_out = counted_demand(held_out, counted, plain.coverage, plain.demand.samples)[0]
    sentences = (*plain.sentences, counters_sentence(demand), *notes)
    return OnCells(network, coverage, demand, held_out, sentences)
