"""Where the Data Docs of a run are kept: HTML that shows every expectation and what it found, without the UI.

Each step of a run builds a site of its own in a folder of its own: Great Expectations removes from a site whatever the
building process does not know, so a shared one would lose the pages that older runs link to. The newest `keep` sites
stay. They open from the disk; styles and scripts come from public addresses where there are any to reach.

    site = docs.site("candles", run_id)
"""

import shutil
from pathlib import Path

import dagster as dg

# Animations of a walkthrough that the pages do not show: four fifths of a site.
_UNUSED = "static/images/*.gif"


class DataDocs(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Data Docs of this installation.

    Attributes:
        folder: Folder of the sites; empty = none are built.
        keep: How many sites stay.
    """

    folder: str = ""
    keep: int = 60

    def site(self, suite: str, run_id: str) -> Path | None:
        """The folder of one step's site, not made yet; None = none is built."""
        return Path(self.folder).absolute() / f"{run_id}-{suite}" if self.folder else None

    def tidy(self, site: Path) -> None:
        """Drop what a new site does not need, and the oldest sites."""
        for file in site.glob(_UNUSED):
            file.unlink()
        for folder in sorted(site.parent.iterdir(), key=_age)[self.keep :]:
            shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    """Newest first; what another run has just removed counts as the oldest."""
    try:
        return -folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
