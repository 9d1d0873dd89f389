"""The control plane: assembles what the slices offer into one ASGI app, with login, errors, OpenAPI and live events."""
