"""The verifier as a reward of other trainers: TRL, verl and verifiers (docs/how-to/serve-the-verifier.md)."""
