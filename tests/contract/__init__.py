"""An app whose models and tests follow the contract's text, not the implementation."""
