"""The station daemon: observe, plan, apply."""
