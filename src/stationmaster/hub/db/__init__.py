"""The hub's database: tables, migrations, transactions. SQLite by default, PostgreSQL for several hub replicas."""
