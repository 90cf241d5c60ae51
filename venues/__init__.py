"""Exchanges: what Binance says, read exactly, and a simulator that speaks its protocol."""
