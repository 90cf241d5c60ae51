"""Reports of runs: one self-contained page, and the same numbers as JSON beside it.

Warnings come first, the numbers follow, and at the end stands what the result was made from and what it assumed. The
modules: `document` (all numbers), `breakdowns` and `closeups` (how they are cut), `view` and `page` with `headline`,
`sections` and `markup` (how they are shown), `building` (both together, and the files).

    report = build(result, findings=findings, intervals=ranges, monte_carlo=orders, null=place, bars=bars)
    report.write(folder)
"""

from backtest.report.building import Report, ReportUnwritable, build
from backtest.report.outcome import NullPlace, Outcome

__all__ = ["NullPlace", "Outcome", "Report", "ReportUnwritable", "build"]
