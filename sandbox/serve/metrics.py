"""What the service tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """A registry of its own for each service, so that two of one process do not add up."""

    def __init__(self, workers: int) -> None:
        self.registry = CollectorRegistry()
        name = "agnostics_verifier"
        self._jobs = Counter(f"{name}_jobs", "Jobs judged", ["language", "status"], registry=self.registry)
        self._seconds = Histogram(
            f"{name}_job_seconds",
            "From a job's turn in its request to its verdict, waiting for a worker included",
            ["language"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(f"{name}_refused", "Requests refused", ["status"], registry=self.registry)
        self.pending = Gauge(f"{name}_jobs_pending", "Jobs admitted that have no verdict yet", registry=self.registry)
        Gauge(f"{name}_workers", "Worker processes", registry=self.registry).set(workers)

    def judged(self, language: str, status: str, seconds: float) -> None:
        self._jobs.labels(language, status).inc()
        self._seconds.labels(language).observe(seconds)

    def refused(self, status: int) -> None:
        """`status`: of the answer, such as 429."""
        self._refused.labels(str(status)).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
