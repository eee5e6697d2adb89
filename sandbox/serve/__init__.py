"""The verifier as an HTTP service: `python -m sandbox.serve language=lua` (docs/how-to/serve-the-verifier.md)."""
