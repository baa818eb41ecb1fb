"""Networks: one architecture a file, built with matched initialisation."""

from harness.models.build import NetworkPair, build_network, build_pair, place
from harness.models.contract import Conditions, Generated, Judgement, check_networks
from harness.models.layers import GaussianBlur, MatchedDropout
from harness.models.matching import matched_fraction

__all__ = [
    "Conditions",
    "GaussianBlur",
    "Generated",
    "Judgement",
    "MatchedDropout",
    "NetworkPair",
    "build_network",
    "build_pair",
    "check_networks",
    "matched_fraction",
    "place",
]
