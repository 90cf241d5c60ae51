import os
import shutil
import stat
from pathlib import Path

import pytest
import yaml

from transforms import PROJECT, parse
from transforms.parse import fingerprint, parsed


def test_a_parse_is_kept_and_read_again_without_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parsed()
    assert first.complete

    def never(folder: Path) -> None:
        raise AssertionError(folder)

    monkeypatch.setattr(parse, "_parse", never)
    parsed.cache_clear()
    assert parsed() == first


def test_every_relation_of_a_loaded_manifest_lies_in_the_run_s_database() -> None:
    manifest = parsed().load("elsewhere")
    nodes = [*manifest.nodes.values(), *manifest.sources.values()]
    assert {node.database for node in nodes} == {"elsewhere"}
    assert {node.relation_name.split(".")[0] for node in nodes if node.relation_name} == {'"elsewhere"'}


@pytest.mark.parametrize("name", ["models/marts/fct_signals.sql", "dbt_project.yml", "macros/windows.sql"])
def test_a_changed_file_has_another_fingerprint_and_a_copy_the_same(tmp_path: Path, name: str) -> None:
    copy = tmp_path / "dbt"
    shutil.copytree(PROJECT, copy)
    assert fingerprint(copy) == fingerprint(PROJECT)
    path = copy / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert fingerprint(copy) != fingerprint(PROJECT)


def test_a_folder_that_somebody_else_may_write_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_to_all = tmp_path / f"tidemark-dbt-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert len(list(parse._bases())) == 1
    open_to_all.rmdir()
    bases = list(parse._bases())
    assert bases[1] == open_to_all
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o700


def test_no_word_leaves_the_machine_and_no_secret_stands_in_the_project() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert project["flags"]["send_anonymous_usage_stats"] is False
    assert {"--no-send-anonymous-usage-stats", "--no-version-check"} <= set(parse.QUIET)
    profile = yaml.safe_load((PROJECT / "profiles.yml").read_text(encoding="utf-8"))
    assert (
        profile["tidemark"]["outputs"]["platform"]["password"]
        == "{{ env_var('DBT_ENV_SECRET_TIDEMARK_PASSWORD', '') }}"
    )
