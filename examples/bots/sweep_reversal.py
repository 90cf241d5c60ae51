"""Fade a liquidity sweep in the direction of the long trend: an example to start from, not a promise of profit."""

from engine.plugins import Signal


class SweepReversal:
    """Below a swing low and back above it, while the close is over its 200-bar average: LONG. SHORT mirrored."""

    name = "sweep_reversal"
    inputs = ("atr14", "ema200", "liquidity_events")

    def on_bar(self, ctx, bar, feats, state):
        """One signal at most, and none within 12 bars of the last one."""
        state["wait"] = max(state.get("wait", 0) - 1, 0)
        atr, trend = feats["atr14"], feats["ema200"]
        swept = {event["kind"] for event in feats["liquidity_events"]}
        if atr is None or trend is None or state["wait"]:
            return []
        if "SWEEP_LOW" in swept and bar.close > trend:
            signal = Signal("LONG", entry=bar.close, stop=bar.low - 0.5 * atr, features={"ema200_up": True})
        elif "SWEEP_HIGH" in swept and bar.close < trend:
            signal = Signal("SHORT", entry=bar.close, stop=bar.high + 0.5 * atr, features={"ema200_down": True})
        else:
            return []
        state["wait"] = 12
        return [signal]


bot = SweepReversal()
