"""Changes of the schema around a trigger, forwards, backwards and forwards again."""
