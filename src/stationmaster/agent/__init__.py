"""The agent of an instance: facts, repository files, jobs."""
