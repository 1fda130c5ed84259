"""The hub: REST API, database, scheduler."""
