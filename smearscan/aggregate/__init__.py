"""From cells to a patient's number: differential, intervals, correction, limits, verdict."""

from smearscan.aggregate.differential import count_cells, is_counted, list_beside
from smearscan.aggregate.patient import aggregate_patient
from smearscan.aggregate.validation import Validation, ValidationGroup

__all__ = ["Validation", "ValidationGroup", "aggregate_patient", "count_cells", "is_counted", "list_beside"]
