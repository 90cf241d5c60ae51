"""Vocabulary shared by every room: timeframes, keys, instrument rules, errors by reaction, events v1."""

from contracts.errors import DataRejected, Halt, Rejected, Retryable, TidemarkError
from contracts.instrument import InstrumentRules
from contracts.series import VENUES, InstrumentKey, SeriesKey
from contracts.timeframe import Timeframe, from_us, to_us

__all__ = [
    "VENUES",
    "DataRejected",
    "Halt",
    "InstrumentKey",
    "InstrumentRules",
    "Rejected",
    "Retryable",
    "SeriesKey",
    "TidemarkError",
    "Timeframe",
    "from_us",
    "to_us",
]
