"""The flag of a patient and its reasons: what to look at first. Never a diagnosis.

======================  ================================================================  ==============
flag                    rule (defaults; the lines are settings)                           source
======================  ================================================================  ==============
insufficient            not adequate (`adequacy`)                                         ICSH 2015
acute_range             raw above the limit of blank, corrected ≥ 20 %                    WHO 2016
work_up                 raw above the limit of blank, corrected ≥ 5 % (excess blasts 2)   WHO 2016
review                  raw above the limit of blank; or 5 % cannot be ruled out; or a    CLSI EP17-A2
                        slide failed, or lost many of its images, or was given for
                        another patient too; or blasts may hide under the threshold
                        (`doubt`)
clear                   none of these: raw within the limit of blank and the corrected
                        upper limit under 5 %
======================  ================================================================  ==============

ICSH: Palmer et al. 2015, doi:10.1111/ijlh.12327. WHO: Arber et al. 2016, doi:10.1182/blood-2016-03-643544.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from smearscan.aggregate.correct import Correction
from smearscan.records import Interval
from smearscan.settings import AggregateSettings

Flag = Literal["insufficient", "clear", "review", "work_up", "acute_range"]


def judge(
    raw: Interval,
    correction: Correction,
    limit_of_blank: float,
    shortfalls: Sequence[str],
    failures: Sequence[str],
    settings: AggregateSettings,
    doubts: Sequence[str] = (),
) -> tuple[Flag, list[str]]:
    """The flag and the sentences that give its reasons, at least one.

    Parameters
    ----------
    raw, correction, limit_of_blank
        The patient's number: fractions of the counted leukocytes.
    shortfalls
        Why there can be no verdict (`adequacy`).
    failures
        Slides that failed although the patient is adequate without them, or that may be somebody else's: they forbid
        *clear*.
    settings
        Where the lines are.
    doubts
        Why blasts may hide under the threshold (`doubt`): they forbid *clear*.
    """
    flag, reasons = _by_fraction(raw, correction, limit_of_blank, settings)
    if flag in ("clear", "review"):
        reasons += doubts
    reasons += failures
    if shortfalls:
        return "insufficient", [*shortfalls, *failures]
    if flag == "clear" and (failures or doubts):
        return "review", reasons
    return flag, reasons


def _by_fraction(
    raw: Interval, correction: Correction, limit_of_blank: float, settings: AggregateSettings
) -> tuple[Flag, list[str]]:
    reasons = [] if correction.is_possible else [f"the fraction could not be corrected: {correction.why_not}"]
    number, low_line = correction.interval, settings.work_up_fraction
    is_above_blank = raw.estimate > limit_of_blank or (not correction.is_possible and raw.estimate > 0)
    if is_above_blank and number.estimate >= low_line:
        is_acute = number.estimate >= settings.acute_fraction
        line = settings.acute_fraction if is_acute else low_line
        reasons.append(f"{_said(correction)} is at or above {line:.0%}")
        if is_acute:
            reasons.append("that is in the range of acute leukaemia, where lineage needs flow cytometry")
        return ("acute_range" if is_acute else "work_up"), reasons
    if limit_of_blank >= 1:
        return "review", [*reasons, f"blasts read {raw.estimate:.1%}, and what blast-free smears read was not measured"]
    if is_above_blank:
        reasons.append(f"blasts read {raw.estimate:.1%}, above the limit of blank of {limit_of_blank:.1%}")
        return "review", reasons
    within = f"blasts read {raw.estimate:.1%}, within the limit of blank of {limit_of_blank:.1%}"
    if number.high >= low_line:
        return "review", [*reasons, f"{within}, but up to {number.high:.1%} are not ruled out"]
    return "clear", [*reasons, f"{within}, and the corrected upper limit of {number.high:.1%} is under {low_line:.0%}"]


def _said(correction: Correction) -> str:
    number = correction.interval
    kind = "corrected" if correction.is_possible else "uncorrected"
    return f"the {kind} fraction {number.estimate:.1%} ({number.low:.1%} to {number.high:.1%})"
