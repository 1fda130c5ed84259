"""Alembic's environment and revisions, packaged, so that every installation can migrate its own database."""
