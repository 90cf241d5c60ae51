"""The room of plug-in bots: found, run in processes of their own under a deadline, quarantined when they fail.

    from bots.discovery import discover
    from bots.runner import BotRunner
    from bots.series import SeriesBots

    with BotRunner(discover(folder).bots) as runner:
        bots = SeriesBots(runner, key, params)
        bots.advance(bars, engine.advance(bars).frame).signals

The protocol a bot follows is `engine.plugins`; docs/bots.md tells how to write one. Nothing is imported here: every
worker imports this package, and shall start with what it needs itself.
"""
