"""The stages, in order: on which queue, how urgent, and whether cells of several slides are judged together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; a later one has a lower `rank`, so that what is begun is finished first."""

    name: str
    queue: str
    rank: int

    def chunk(self) -> dict[str, Any]:
        """The columns of a chunk of this stage."""
        return {"stage": self.name, "queue": self.queue, "rank": self.rank}


#: survey: is it readable, where to look, its stain · search: leukocytes of some tiles · gather: each cell once, cut up
#: into sets · crop: cut, mask, measure · classify: networks, over many slides · finish: the slide's record ·
#: aggregate: the patient's number · report: the patient's page · export: the run's files.
STAGES = {
    stage.name: stage
    for stage in (
        Stage("survey", "cpu", 8),
        Stage("search", "cpu", 7),
        Stage("gather", "cpu", 6),
        Stage("crop", "cpu", 5),
        Stage("classify", "gpu", 4),
        Stage("finish", "cpu", 3),
        Stage("aggregate", "cpu", 2),
        Stage("report", "io", 1),
        Stage("export", "io", 0),
    )
}
QUEUES = ("cpu", "gpu", "io")
#: Seconds that a chunk may take, of whatever stage: they take seconds to minutes. One that takes longer hangs.
LIMIT_S = 1500.0
