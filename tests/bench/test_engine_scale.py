from bench.bars import KEY, generated_bars
from bench.engine_scale import PIECE, all_tables, flow, in_its_own_process
from engine import TABLES, EngineParams, SeriesEngine


def test_all_tables_of_a_call_are_built_in_their_order() -> None:
    rows = SeriesEngine(KEY, EngineParams()).advance(generated_bars(500))
    built = all_tables(rows)
    assert [rows.frame(table) for table in TABLES] == built
    assert all(frame.height for frame in built)


def test_a_run_keeps_nothing_of_its_pieces() -> None:
    found = flow(12 * PIECE)
    assert found.bars == 12 * PIECE
    assert found.bars_per_s > 0
    # seven pieces of about 60 MB each came after the memory was taken note of
    assert found.growth_bytes < 2**26


def test_a_run_in_its_own_process_says_the_same_of_itself() -> None:
    found = in_its_own_process(2_000)
    assert found.bars == 2_000
    assert found.bars_per_s > 0
    assert 0 <= found.growth_bytes < 2**26
