from bench.backtest_scale import in_its_own_process, portfolio


def test_a_portfolio_trades_all_its_symbols_the_same_way_every_time_and_in_any_process() -> None:
    found = portfolio(symbols=3, bars=6_000, piece=2_000)
    assert found.bars == 18_000
    assert found.trades > 3
    assert found.decisions > 1_000
    assert found.seconds > 0
    assert found.peak_bytes > 2**26
    assert portfolio(symbols=3, bars=6_000, piece=2_000).fingerprint == found.fingerprint
    assert portfolio(symbols=2, bars=6_000, piece=2_000).fingerprint != found.fingerprint


def test_a_portfolio_in_its_own_process_says_the_same_of_itself() -> None:
    found, here = in_its_own_process(symbols=2, bars=3_000), portfolio(symbols=2, bars=3_000)
    assert (found.bars, found.trades, found.decisions) == (here.bars, here.trades, here.decisions)
    assert found.fingerprint == here.fingerprint
