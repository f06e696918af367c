"""The six workloads of the story, 43 replicas."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Asked:
    """A workload, and what its owner asks for."""

    name: str
    replicas: int
    spot_percentage: int
    floor: int
    kind: str = "Deployment"
    cpu: str = "500m"

    @property
    def split(self) -> dict[str, int]:
        """Replicas by class: the percentage rounded down to whole ones, but no fewer on-demand than the floor."""
        on_demand = max(self.floor, self.replicas - self.replicas * self.spot_percentage // 100)
        on_demand = min(on_demand, self.replicas)
        counts = {"spot": self.replicas - on_demand, "on-demand": on_demand}
        return {name: count for name, count in counts.items() if count}

    def of(self, replicas: int) -> "Asked":
        """The same with another number of replicas."""
        return replace(self, replicas=replicas)


WORKLOADS = (
    Asked("web", 10, 70, 2),
    Asked("api", 8, 50, 2),
    Asked("worker", 9, 90, 1, cpu="1"),
    Asked("search", 6, 60, 2, cpu="250m"),
    Asked("mail", 4, 75, 1, cpu="250m"),
    Asked("db", 6, 50, 2, kind="StatefulSet"),
)
