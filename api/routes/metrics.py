"""The metrics for Prometheus at `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from stepway.api.auth.guard import Guarded
from stepway.api.readiness import Readiness
from stepway_tracking.stream.hub import Hub

router = APIRouter(route_class=Guarded, tags=["health"])

EVENTS_PATH = "/api/projects/{project_id}/initialization/events"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class HubCollector(Collector):
    """Reads the hub's counters at each scrape, so that the streams do no extra work."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        hub, counts = self._hub, self._hub.counts
        gauges = {
            "stepway_streams_open": ("Open event streams.", hub.streams),
            "stepway_projects_watched": ("Projects with open streams.", hub.projects),
            "stepway_redis_connected": ("1 while connected to Redis.", hub.redis_connected),
        }
        counters = {
            "stepway_streams_opened": ("Streams opened.", counts.streams_opened),
            "stepway_streams_refused": ("Streams refused at the limit.", counts.streams_refused),
            "stepway_streams_too_slow": ("Streams closed as too slow.", counts.streams_too_slow),
            "stepway_events_received": ("Events received from Redis.", counts.events_received),
            "stepway_events_sent": ("Events sent to clients.", hub.events_sent),
            "stepway_gaps_repaired": ("Reads of missed events.", counts.gaps_repaired),
            "stepway_snapshots_read": ("Snapshots read from Postgres.", counts.snapshots_read),
            "stepway_position_checks": ("Checks against Postgres.", counts.position_checks),
            "stepway_redis_connections": ("Connections to Redis.", counts.redis_connections),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)


class Metrics:
    """The metrics of one application. `text` also includes those of the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "stepway_http_requests",
            "HTTP requests by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "stepway_http_request_duration_seconds",
            "Duration of requests, except streams.",
            ("method", "route"),
            registry=self._registry,
        )

    def watch(self, hub: Hub, readiness: Readiness) -> None:
        """Include this hub's counters, and what the last check for readiness found."""
        self._registry.register(HubCollector(hub))
        failing = Gauge(
            "stepway_workflows_failing",
            "Running initializations that the workers cannot continue, at the last /readyz.",
            registry=self._registry,
        )
        failing.set_function(lambda: readiness.failing.count)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a finished request; `seconds` is ignored for streams."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        if route != EVENTS_PATH:
            self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(request: Request) -> Response:
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=CONTENT_TYPE_LATEST)
