"""PostgreSQL and TimescaleDB: the embedded server, migrations, bulk load, range reads."""
