"""Checks of what the engine made of candles: indicators, zones with their inversions and events, signals.

Three steps, one a suite. A blocking failure stops the marts of the same run.
"""

from assets.checks.indicator_suite import INDICATOR_SUITE
from assets.checks.signal_suite import SIGNAL_SUITE
from assets.checks.steps import step
from assets.checks.zone_suite import ZONE_SUITE

indicator_checks = step("indicator_checks", INDICATOR_SUITE)
zone_checks = step("zone_checks", ZONE_SUITE)
signal_checks = step("signal_checks", SIGNAL_SUITE)
