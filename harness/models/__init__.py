"""Networks: one architecture a file, built with matched initialisation."""

from harness.models.build import NetworkPair, build_network, build_pair, own_networks, place
from harness.models.contract import Conditions, Generated, Judgement, check_networks
from harness.models.layers import GaussianBlur, MatchedDropout
from harness.models.matching import Match, matched_fraction, matches

__all__ = [
    "Conditions",
    "GaussianBlur",
    "Generated",
    "Judgement",
    "Match",
    "MatchedDropout",
    "NetworkPair",
    "build_network",
    "build_pair",
    "check_networks",
    "matched_fraction",
    "matches",
    "own_networks",
    "place",
]
