"""Load for a server, from data of true lengths, and what its users then wait: `measure(LoadOptions) -> LoadReport`."""

from npuserve.migrate.load.histogram import Histogram
from npuserve.migrate.load.interface import ModelInterface, describe
from npuserve.migrate.load.measure import measure
from npuserve.migrate.load.options import LoadOptions
from npuserve.migrate.load.report import Failure, LoadReport, Progress, Window

__all__ = [
    "Failure",
    "Histogram",
    "LoadOptions",
    "LoadReport",
    "ModelInterface",
    "Progress",
    "Window",
    "describe",
    "measure",
]
