"""A project in which everything is on: ignore, context, soft deletion, states and history."""
