"""What fields look like is shown as evidence, marked as such, and only where something was looked at."""

from __future__ import annotations

from dataclasses import replace

from fake_results import fake_images, fake_patient, fake_run

from smearscan.models.field_subtypes import FieldSubtypes
from smearscan.report.content import ReportImages
from smearscan.report.html import render_report
from smearscan.report.subtypes import view_subtypes
from smearscan.settings import Settings

FOUND = FieldSubtypes({"Benign": 0.1, "Early": 0.2, "Pre": 0.65, "Pro": 0.05}, n_fields=5, n_agreeing=4)


def test_the_view_names_the_likeliest_class_and_how_many_fields_agree() -> None:
    view = view_subtypes(FOUND)
    assert view is not None
    assert [row.title for row in view.rows] == ["benign (hematogones)", "early pre-B", "pre-B", "pro-B"]
    assert "4 of 5 look most like pre-B" in view.sentence
    assert "changes no number" in view.sentence


def test_nothing_is_shown_where_no_field_was_looked_at() -> None:
    assert view_subtypes(None) is None
    page = render_report(fake_patient(), fake_run(), ReportImages(), Settings())
    assert "What the fields look like" not in page


def test_the_page_marks_it_as_evidence_and_the_verdict_stays_as_it_was() -> None:
    patient, run, images = fake_patient(), fake_run(), fake_images(fake_patient())
    without = render_report(patient, run, images, Settings())
    page = render_report(patient, run, replace(images, subtypes=FOUND), Settings())
    start = page.index('<section class="subtypes">')
    end = page.index("</section>", start) + len("</section>")
    assert "supporting evidence, not a result" in page[start:end]
    assert page[:start].rstrip() + page[end:].lstrip() == without[:start].rstrip() + without[start:].lstrip()
