"""The tables, by area. Import them through ``hub.db.schema``, which knows them all."""
