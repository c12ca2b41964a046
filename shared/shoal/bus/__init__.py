"""The bus: Protocols that everybody uses (`protocol`), and NATS behind them.

Only this package speaks NATS.
"""
