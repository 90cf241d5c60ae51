"""Where the pages of reports are: a folder for each run of research, named by the run, below one folder.

The name says what was asked and from which data, so the same report again replaces its own files and no others.

    page, numbers = report.write(reports.of("5f0c…"))        # <home>/reports/5f0c…/report.html and .json
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg


class Reports(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The reports of this installation.

    Attributes:
        folder: Folder of the runs' folders; made when the first report is written.
    """

    folder: str

    def of(self, run_id: str) -> Path:
        """The folder of a run's report, absolute; it need not be there."""
        return Path(self.folder).absolute() / run_id
