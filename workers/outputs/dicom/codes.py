"""Every code that the DICOM results use, in one place, with where it was verified.

"pydicom": the concept dictionary of pydicom 3.0 (``pydicom.sr._concepts_dict``); a test looks each one up. "TG-263":
the map of the HL7 radiation therapy guide. "private": scheme 99ICANSEE, defined in docs/dicom-results.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

PRIVATE = "99ICANSEE"
PYDICOM, TG_263, OWN = "pydicom", "TG-263", "private"


@dataclass(frozen=True)
class Verified:
    """One code and where it was verified."""

    code: Code
    source: str = PYDICOM


def _private(value: str, meaning: str) -> Verified:
    return Verified(Code(value, PRIVATE, meaning), OWN)


def _sct(value: str, meaning: str) -> Verified:
    return Verified(Code(value, "SCT", meaning))


REGIONS = {  # without the side
    "brain": _sct("12738006", "Brain"),
    "thalamus": _sct("42695009", "Thalamus"),
    "thalami": _sct("42695009", "Thalamus"),
    "midbrain": _sct("61962009", "Midbrain"),
    "pons": Verified(Code("49557009", "SCT", "Pontine structure"), TG_263),
    "medulla": _private("MEDULLA", "Medulla oblongata"),
    "cerebellum": _sct("113305005", "Cerebellum"),
    "third_ventricle": _sct("49841001", "Third ventricle"),
    "fourth_ventricle": _sct("35918002", "Fourth ventricle"),
    "lateral_ventricle": _sct("66720007", "Lateral ventricle"),
    "ventricles": _sct("35764002", "Brain ventricle"),
    "sulcal_csf": _private("SULCALCSF", "Sulcal cerebrospinal fluid"),
    "corpus_callosum": _sct("88442005", "Corpus callosum"),
    "external_extreme_capsule": _private("EXTCAP", "External and extreme capsule"),
    "external_extreme_capsules": _private("EXTCAP", "External and extreme capsule"),
    "white_matter": _sct("68523003", "Cerebral white matter"),
    "cortex": _sct("40146001", "Cerebral cortex"),
    "cortex_frontal": _sct("83251001", "Frontal lobe"),
    "cortex_parietal": _sct("16630005", "Parietal lobe"),
    "cortex_temporal": _sct("78277001", "Temporal lobe"),
    "cortex_occipital": _sct("31065004", "Occipital lobe"),
    "cortex_insula": _sct("36169008", "Insula"),
    "putamen": _sct("89278009", "Putamen"),
    "pallidum": _sct("14738005", "Globus pallidus"),
    "caudate": _sct("11000004", "Caudate nucleus"),
    "internal_capsule": _sct("85637007", "Internal capsule"),
    "hippocampus_amygdala": _private("HIPPAMY", "Hippocampus and amygdala"),
    "basal_ganglia": _private("BASALGANG", "Basal ganglia"),
    "cisterns": _private("CISTERNS", "Basal cisterns"),
    "extraventricular_csf": _private("EXTRAVENTCSF", "Cerebrospinal fluid outside the ventricles"),
    "pons_core": _private("PONSCORE", "Core of the pons"),
    "pons_rim": _private("PONSRIM", "Rim of the pons"),
    "thalami_medial": _private("THALMEDIAL", "Medial halves of the thalami"),
    "thalami_lateral": _private("THALLATERAL", "Lateral halves of the thalami"),
    "white_matter_anterior": _private("WMANTERIOR", "Anterior cerebral white matter"),
    "white_matter_posterior": _private("WMPOSTERIOR", "Posterior cerebral white matter"),
}
UNKNOWN_REGION = _private("REGION", "Region of the atlas")
SIDES = {
    "left": _sct("7771000", "Left"),
    "right": _sct("24028007", "Right"),
}

QUANTITIES = {
    "volume_ml": _sct("118565006", "Volume"),
    "adc_um2_s": Verified(Code("113041", "DCM", "Apparent Diffusion Coefficient")),
    "flair_change_percent": _private("SIGCHG", "FLAIR change, near reference"),
    "flair_change_far_percent": _private("SIGCHGFAR", "FLAIR change, far reference"),
    "flair_change_p95_percent": _private("SIGCHGP95", "FLAIR change, 95th percentile"),
    "flair_ratio": _private("FLAIRRATIO", "FLAIR ratio to reference tissue"),
    "flair_excess_percent": _private("FLAIREXCESS", "FLAIR excess over normal"),
    "volume_change_percent": _private("VOLCHG", "Volume change"),
    "raised_fraction_percent": _private("RAISED", "Fraction of raised voxels"),
    "adc_change_percent": _private("ADCCHG", "ADC change"),
    "adc_below_650_percent": _private("ADCLOW", "Fraction with ADC below 650 um2/s"),
    "csf_flair_change_percent": _private("CSFCHG", "FLAIR change of fluid, of white matter"),
    "enhancing_volume_ml": _private("ENHVOL", "Enhancing volume"),
    "enhancing_lesion_count": _private("ENHCOUNT", "Number of enhancing lesions"),
    "largest_lesion_ml": _private("LARGEST", "Volume of the largest lesion"),
    "lesion_count": _sct("246206008", "Number of lesions"),
    "lesion_volume_ml": _private("LESVOL", "Lesion volume"),
    "lesions_at_prior_injury": _private("LESPRIOR", "Number of lesions at prior injury"),
    "restricted_gyri": _private("RESTGYRI", "Number of gyri with restricted diffusion"),
    "restricted_volume_ml": _private("RESTVOL", "Volume with restricted diffusion"),
    "symmetry": _private("SYMMETRY", "Symmetry of left and right"),
    "cavity_volume_ml": _private("CAVITYVOL", "Volume of cavities"),
    "chronic_lesion_count": _private("OLDCOUNT", "Number of old lesions"),
    "chronic_lesion_volume_ml": _private("OLDVOL", "Volume of old lesions"),
    "flair_asymmetry_percent": _private("FLAIRASYM", "FLAIR difference of left and right"),
    "fluid_share_percent": _private("FLUIDSHARE", "Share of fluid"),
    "fluid_volume_ml": _private("FLUIDVOL", "Volume of fluid"),
    "ventricle_narrowing_percent": _private("VENTNARROW", "Narrowing of a lateral ventricle"),
}
UNKNOWN_QUANTITY = _private("QUANTITY", "Quantity of the program")
UNITS = {
    "%": Code("%", "UCUM", "percent"),
    "% of white matter": Code("%", "UCUM", "percent"),
    "mL": Code("mL", "UCUM", "milliliter"),
    "um2/s": Code("um2/s", "UCUM", "square micrometer per second"),
    "1": Code("1", "UCUM", "no units"),
    "d": Code("d", "UCUM", "day"),
}

UNCERTAINTY = _private("UNCERTAINTY", "Uncertainty, one standard deviation")  # a derivation of the quantity
CATEGORY = _private("TRIAGE", "Triage category")
CATEGORIES = {
    "neurotoxicity_suspected": _private("SUSPECTED", "Neurotoxicity suspected"),
    "possible": _private("POSSIBLE", "Neurotoxicity possible"),
    "no_pattern": _private("NOPATTERN", "No pattern of neurotoxicity found"),
    "not_assessable": _private("NOTASSESSABLE", "Not assessable"),
}
PRIORITY = _private("PRIO", "Suggested reading priority")
PRIORITIES = {
    "P1": _private("P1", "Priority 1, most urgent"),
    "P2": _private("P2", "Priority 2"),
    "P3": _private("P3", "Priority 3"),
    "unchanged": _private("UNCHANGED", "Priority unchanged"),
}
PRESENCE = {
    "present": _sct("52101004", "Present"),
    "absent": _sct("272519000", "Absent"),
    "indeterminate": _sct("373068000", "Undetermined"),
}
DAYS_AFTER_INFUSION = _private("CARTDAYS", "Days after CAR-T cell infusion")

BRAIN_MRI = Code("25056-3", "LN", "MRI unspecified body region")  # CID 100; (24590-2, LN) is an error there
REPORT = Verified(Code("126000", "DCM", "Imaging Measurement Report"))
ARTIFICIAL_INTELLIGENCE = Verified(Code("123110", "DCM", "Artificial Intelligence"))
OF_INTEREST = Verified(Code("113000", "DCM", "Of Interest"))
REJECTED = Verified(Code("113001", "DCM", "Rejected for Quality Reasons"))
ANATOMY = _sct("91723000", "Anatomical Structure")
ABNORMAL = _sct("49755003", "Morphologically Abnormal Structure")
LESION = _sct("52988006", "Lesion")
RESTRICTED_DIFFUSION = Verified(Code("RID43349", "RADLEX", "Restricted diffusion"))


def pattern_code(pattern: str) -> Code:
    """The name of a pattern as a concept."""
    return Code(f"PATTERN_{pattern}"[:16], PRIVATE, f"Pattern {pattern} of neurotoxicity")


def region_code(region: str) -> tuple[Code, Code | None]:
    """Region of the atlas -> its concept, and its side."""
    for side, code in SIDES.items():
        base = region.removesuffix(f"_{side}")
        if base != region and base in REGIONS:
            return REGIONS[base].code, code.code
    known = REGIONS.get(region)
    if known is not None:
        return known.code, None
    return Code(UNKNOWN_REGION.code.value, PRIVATE, region.replace("_", " ")[:64]), None


def quantity_code(quantity: str) -> Code:
    known = QUANTITIES.get(quantity)
    return known.code if known else Code(UNKNOWN_QUANTITY.code.value, PRIVATE, quantity.replace("_", " ")[:64])


def unit_code(unit: str) -> Code:
    return UNITS.get(unit, Code(unit[:16], "UCUM", unit))
