"""What vendors call things: names of pulse sequences and ImageType tokens, as data that the rules look up.

A new vendor name is one more alternative or token here, and one more case in
tests/triage/sequences/test_identify.py.
A new private element is read in workers/reading/series.py first, which gives it a name in ``SeriesHeader.vendor``.

Patterns are searched in lower-case names. Siemens' leading "*" is taken off, which marks a name that differs from the
protocol's.
"""

from __future__ import annotations

import re

from triage.model import SeriesHeader

# --- names of pulse sequences, searched in sequence_name() ---

# Siemens ep_b1000, ez_b, re_b (RESOLVE), epfid, epse
ECHO_PLANAR = re.compile(r"^(?:ep|ez|re)_b|^ep(?:fid|se)|epi")
# Siemens states the b-value in the name: ep_b1000t
B_VALUE = re.compile(r"(?:ep|ez|re)_b(\d+)")
DIFFUSION = re.compile(r"dwi|diff")
# Siemens tir2d, spcir; Philips TIR; UIH fse_ir; Hitachi FIR
INVERSION_RECOVERY = re.compile(r"tir2d|spc_?ir|tirm|flair|(?:^|_)ir(?:_|$|\d)|\bfir|\btir\b")
# Gradient echo with a preparation that makes it T1 weighted: Siemens tfl3d, Philips T1TFE, GE BRAVO
PREPARED_T1 = re.compile(r"tfl3d|t1tfe|mprage|bravo")

# --- names of pulse sequences, searched in all_names() ---

ANGIOGRAPHY = re.compile(r"tof|\bfl3d1r_t|pcax|\bfi3d")
# GE CubeDIR, UIH fse_mx_3d_dir
DOUBLE_INVERSION = re.compile(r"cubedir|_dir\b")
# Fast and plain spin echo: never diffusion, whatever the description says
SPIN_ECHO = re.compile(r"\b\w*(?:tse|fse|spc|haste|memp|cube)|\bse2d|(?:^|\s)se\b|tir")
# Siemens tse2d and spc, Philips TSE: what is inverted has another name
PLAIN_T2 = re.compile(r"\btse2d|\bspc_\d|\btse\b")
# Siemens and Philips SWI, GE SWAN
SUSCEPTIBILITY = re.compile(r"swi|swan")
# Siemens TrueFISP and CISS, GE FIESTA, Philips bFFE
BALANCED = re.compile(r"tfi3d|ci3d|tfi2d|fiesta|bffe")

# Siemens field map
CALIBRATION = re.compile(r"\bfm2d")

# --- GE's private names of pulse sequences, searched in ge_name() ---

GE_T1_FLAIR = re.compile(r"t1flair")
GE_T1 = re.compile(r"bravo|cubet1")
GE_T2 = re.compile(r"cubet2\b")

# --- ImageType tokens, upper case ---

INVERSION_RECOVERY_TOKEN = "M_IR"  # noqa: S105 - Philips, a magnitude image of an inversion recovery sequence
MINIMUM_INTENSITY = frozenset({"MNIP", "MIN_IP"})
# In the order in which they are named as the reason
PROJECTIONS = (
    "PROJECTION IMAGE",
    "MIP",
    "MAX_IP",
    "MIN_IP",
    "MNIP",
    "MINIP",
    "VOLUME_RENDER",
    "SURFACE_RENDER",
    "CPR",
    "CURVED",
)
REFORMATS = frozenset({"MPR", "REFORMATTED", "RESAMPLED", "MPR_THIN", "MPR_THICK"})
SUBTRACTIONS = frozenset({"SUBTRACTION", "SUB", "SUBTRACT"})
PHASES = frozenset({"P", "PHASE", "PHASE MAP", "VELOCITY", "R", "REAL", "I", "IMAGINARY"})
# Of Dixon acquisitions only water and in-phase images show the contrast
FAT_OR_OPPOSED = frozenset(
    {
        "F", "FAT", "OP", "OPP", "OPP_PHASE", "OPPOSED_PHASE", "OPPOSED", "OUT_PHASE", "OUTPHASE", "OUT_OF_PHASE",
        "FAT_FRACTION", "FATFRACTION", "FF", "FAT_FRAC", "WATER_FRACTION", "WF",
    }
)  # fmt: skip
ADC_MAPS = frozenset({"ADC", "ADC_UNSPECIFIED"})
ADC_MAP_BEGINNINGS = ("APPARENT DIFF", "ADC_MAP", "ADC MAP")
EXPONENTIAL_ADC_MAPS = frozenset({"EADC", "EXP_ADC", "EXPONENTIAL", "EXPADC"})
TENSOR_MAPS = frozenset(
    {
        "FA", "COLFA", "COLOR FA", "TENSOR", "TENSOR_B0", "RA", "VR", "AD", "RD", "MD", "GFA",
        "FRACT_ANISOTROPY", "FRACTIONAL_ANISOTROPY", "RELAT_ANISOTROPY", "DIFFUSION_ANISO",
    }
)  # fmt: skip
PERFUSION_MAPS = frozenset(
    {"RCBV", "RCBF", "CBV", "CBF", "MTT", "TTP", "TMAX", "PBP", "GBP", "RELCBF", "RELCBV", "RELMTT", "ASL"}
)
RELAXATION_MAPS = frozenset({"T1 MAP", "T2 MAP", "T2_STAR MAP", "R2 MAP", "R2_STAR MAP", "T1_MAP", "T2_MAP"})
OTHER_MAPS = RELAXATION_MAPS | {"B0", "B1", "FIELD_MAP", "FMRI", "BOLD"}
DIFFUSION_TRACES = frozenset({"TRACEW", "TRACE", "ISO"})
DIFFUSION_WEIGHTED = DIFFUSION_TRACES | {"DIFFUSION"}


def sequence_name(h: SeriesHeader) -> str:
    """SequenceName with Siemens' and Philips' private names of it, lower case."""
    names = (h.sequence_name, h.vendor.get("siemens_sequence", ""), h.vendor.get("philips_technique", ""))
    return " ".join(name.lower().lstrip("*") for name in names if name)


def ge_name(h: SeriesHeader) -> str:
    """GE's private names of the pulse sequence (0019,109C) and (0019,109E), lower case; "" from other vendors."""
    return f"{h.vendor.get('ge_pulse_sequence', '')} {h.vendor.get('ge_internal_sequence', '')}".lower().strip()


def all_names(h: SeriesHeader) -> str:
    """Every name of the pulse sequence that the header states, lower case."""
    return f"{sequence_name(h)} {ge_name(h)}"
