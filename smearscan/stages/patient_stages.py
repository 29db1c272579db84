"""The stages of a patient and of a run: the number, the page, the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smearscan.aggregate import Validation, aggregate_patient
from smearscan.judge import measured_digest
from smearscan.models import load_card
from smearscan.pictures import PictureJob, take_pictures
from smearscan.records import PatientResult
from smearscan.report.content import ReportImages
from smearscan.report.html import render_report
from smearscan.settings import Settings
from smearscan.stages import encode, keys
from smearscan.stages.export import describe_run, write_run
from smearscan.stages.job import Job, NewChunk, Product
from smearscan.stages.makers import keep_maker
from smearscan.stages.results import patient_record, patient_slides, patient_stamps
from smearscan.stages.slide_stages import refuse_replaced
from smearscan.timing import add_seconds


def aggregate(job: Job) -> Product:
    """The patient's number from its slides' records."""
    slides, names = patient_slides(job.state, job.claim.patient_row)
    validation = _validation(job.settings)
    key = keys.aggregate_key(job.patient_id, names, job.settings, validation)

    def work() -> bytes:
        return encode.dump_patient(aggregate_patient(job.patient_id, slides, job.settings.aggregate, validation))

    _, is_reused = job.make(key, work)
    return Product(key, [NewChunk("report", {"aggregate": key})], is_reused=is_reused)


def _validation(settings: Settings) -> Validation:
    """The classifier's errors: as the laboratory counted them, or as the card of the ensemble's first member says."""
    card = load_card(settings.classify.blast[0]).model_dump()
    if settings.aggregate.validation:
        return Validation.from_settings(settings.aggregate.validation, card.get("thresholds", {}).get("suspect"))
    return Validation.from_card(card, measured_digest(settings.classify))


def report(job: Job) -> Product:
    """The patient's page, with the pictures cut again from its slides."""
    key = keys.report_key(job.claim.task["aggregate"], job.settings, job.preset)
    made = describe_run(job.settings, job.preset, {})

    def work() -> bytes:
        slides, _ = patient_slides(job.state, job.claim.patient_row)
        patient = patient_record(job.state, job.claim.task["aggregate"], slides)
        info = replace(made, stage_seconds=add_seconds(slide.seconds for slide in slides))
        pictures = _pictures_of_what_was_judged(job, patient)
        return render_report(patient, info, pictures, job.settings).encode("utf-8")

    _, is_reused = job.make(key, work)
    keep_maker(job.state, job.claim.run_id, made)
    return Product(key, is_reused=is_reused)


def _pictures_of_what_was_judged(job: Job, patient: PatientResult) -> ReportImages:
    # The slides are opened again: a scan that was put in the place of one that was judged may be somebody else's.
    stamps = patient_stamps(job.state, job.claim.patient_row)
    for source, stamp in stamps:
        refuse_replaced(source, stamp)
    pictures = take_pictures(PictureJob(patient, job.settings))
    for source, stamp in stamps:
        refuse_replaced(source, stamp)
    return pictures


def export(job: Job) -> Product:
    """The run's files, in the folder that its submitter named."""
    write_run(job.state, job.claim.run_id, Path(job.out))
    return Product("")
