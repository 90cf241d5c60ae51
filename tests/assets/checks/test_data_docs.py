import os
from pathlib import Path

from assets.checks.data_docs import DataDocs


def built(docs: DataDocs, run: str, *, at: int) -> Path:
    site = docs.site("candles", run)
    assert site is not None
    images = site / "static" / "images"
    images.mkdir(parents=True)
    (images / "walkthrough.gif").write_bytes(b"large")
    (site / "index.html").write_text("page")
    os.utime(site, (at, at))
    return site


def test_without_a_folder_no_site_is_built() -> None:
    assert DataDocs().site("candles", "run") is None


def test_a_site_belongs_to_one_step_of_one_run(tmp_path: Path) -> None:
    docs = DataDocs(folder=str(tmp_path))
    sites = {docs.site(suite, run) for suite in ("candles", "zones") for run in ("a", "b")}
    assert len(sites) == 4
    assert {site.parent for site in sites if site is not None} == {tmp_path}


def test_tidying_drops_the_walkthrough_and_the_oldest_sites(tmp_path: Path) -> None:
    docs = DataDocs(folder=str(tmp_path), keep=2)
    sites = [built(docs, f"run{number}", at=1_000_000 + number) for number in range(4)]
    docs.tidy(sites[3])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run2-candles", "run3-candles"]
    assert (sites[3] / "index.html").read_text() == "page"
    assert not (sites[3] / "static" / "images" / "walkthrough.gif").exists()
