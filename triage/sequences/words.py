"""The words that technologists write: a series' description in, what it claims out.

Technologists choose descriptions freely and copy them between protocols. So the rules ask the timing first, and words
decide only what the timing leaves open (``rules.py``).
"""

from __future__ import annotations

import re

from triage.model import SeriesHeader

# Separators become spaces, so that \b works on "tirm_tra_dark-fluid". "+" stays: it means contrast ("T1+C", "+Gd").
_SEPARATORS = re.compile(r"[_\-./\\^*:,;()\[\]]+")

FLAIR = re.compile(r"flair|dark ?fluid|fluid atten|\btirm\b|\bfluide? sombre\b")
T1 = re.compile(r"\bt1|t1w?\b|mp ?rage|mprage|bravo|\bspgr\b|t1tfe|\btfl\b|\bvibe\b|\bthrive\b|\blava\b")
T1_FLAIR = re.compile(r"t1 ?w? ?(?:\w+ )?flair|flair t1|t1flair")
T2 = re.compile(r"\bt2(?! ?\*| ?star| ?flair)|t2w\b")
T2_STAR = re.compile(r"t2 ?star|t2\*|\bhemo|\bt2 ?ffe\b|\bt2 ?gre\b|\bfl2d\b|\bmerge\b")
STIR = re.compile(r"\bstir\b|short tau")
DOUBLE_INVERSION = re.compile(r"\bdir\b|double inversion|\bdoppel ?inversion|cube ?dir\b")
LOCALIZER = re.compile(
    r"locali[sz]er|lokalizer|\blocs?\b|scout|survey|surview|\bplan ?scan\b"
    r"|\b3 ?(?:pl\b|plane|pl ?loc)|\brep[eé]rage|\bloka\b"
)
ANGIOGRAPHY = re.compile(
    r"\btof\b|\bmra\b|angio|\bcow\b|venogra|\bmrv\b|\bpca?\b(?= ?3d| ?2d| ?mr)|inhance|\btwist\b|\btricks\b"
)
SWI = re.compile(
    r"\bswi\w?\b|\bswan\b|venbold|\bswip\b|susceptib|\bfsbb\b|\bbsi\b"
    r"|\bpha images|\bmag images|mip images"
)
PERFUSION = re.compile(
    r"perf|\bdsc\b|\bdce\b|\basl\b|\bpasl\b|\bpcasl\b|\bcbf\b|\bcbv\b|\brcbv\b|\bmtt\b|\bttp\b|\btmax\b"
)
BOLD = re.compile(r"\bbold\b|fmri|resting ?state|\brs ?fmri\b")
DIFFUSION = re.compile(r"\bdwi\b|\bdti\b|\bdiff(?:us\w*)?\b|\bresolve\b|\bb ?1000\b|\btrace ?w?\b|\bdwibs\b")
ADC = re.compile(r"(?<!e)\badc\b|apparent diff|\bdadc\b|\badc map|\bisoadc\b")
EXPONENTIAL_ADC = re.compile(r"\beadc\b|exponential|\bexp ?adc\b")
TENSOR_MAP = re.compile(r"\bfa\b|col ?fa\b|fractional|\btensor\b|\bmd map\b|\btractogra|\bbo? map")
PROJECTION = re.compile(r"\bmip\b|\bminip\b|\bmnip\b|\brot mip|projection")
SUBTRACTION = re.compile(r"\bsub\b|subtr|subtrak|subtraction")
BALANCED = re.compile(r"\bciss\b|fiesta|\bdrive\b|\bbffe\b|b ffe|trufi|true ?fisp|\btruefisp\b|\bconstructive\b")
PD = re.compile(r"\bpd\b|\bpdw\b|proton ?dens|\bdp\b|\bdensit")

PRE_CONTRAST = re.compile(
    r"\bpre\b|precontrast|\bohne\b|\bo ?km\b|\bnative?\b|\bvor\b|\bsans\b|\bavant\b|\bsin\b|\bsenza\b|\bbasal\b"
    r"|without|\bw ?o\b|\bno(?:n|n ?con\w*| contrast| gad\w*| gd)\b|\bc minus\b|unenhanced"
)
POST_CONTRAST = re.compile(
    r"\bpost\b|postcontrast|\bpost ?gd\b|\+ ?c\b|\bc ?\+|\+ ?gd|\bgd\b|gd ?\+|\bgad\w*|\bkm\b|\+ ?km"
    r"|\bkontrast\w*|\bcontrast\w*|\bce\b|\+ ?ce\b|\binj\w*|\bapr[eè]s\b|\bnach\b|\bmit km\b|\bmdc\b|\bcon mdc\b"
    r"|dotarem|magnevist|multihance|prohance|clariscan|\benhanced\b|\bt1 ?w? ?c\b"
)

_NO_AGENT = re.compile(
    r"^\s*(?:no|none|non|nein|null|nil|n/?a|without|ohne|0+(?:\.0+)?|-+|\.)?\s*(?:km|contrast|agent|iv contrast)?\s*$",
    re.IGNORECASE,
)


def normalised(text: str) -> str:
    """Lower case, separators as single spaces; 't1_mprage-sag' -> 't1 mprage sag'."""
    lowered = re.sub(r"\bc-(?=\s|$|_)", "c minus ", text.lower())  # "T1 C-": before its hyphen becomes a space
    return " ".join(_SEPARATORS.sub(" ", lowered).split())


def described(header: SeriesHeader) -> str:
    """The series' own words: its description, or ProtocolName without one (on GE it names the whole examination)."""
    return normalised(header.series_description or header.protocol_name)


def says(pattern: re.Pattern[str], header: SeriesHeader) -> bool:
    """Whether the series' own words contain the pattern."""
    return pattern.search(described(header)) is not None


def says_pre_contrast(header: SeriesHeader) -> bool:
    """'pre', 'ohne KM', 'sans gado', 'C-', ..."""
    return says(PRE_CONTRAST, header)


def says_post_contrast(header: SeriesHeader) -> bool:
    """'post', '+C', 'Gd', 'nach KM', ... and nothing that says before ('pre', 'ohne KM', 'sans gado')."""
    return says(POST_CONTRAST, header) and not says_pre_contrast(header)


def contrast_agent(header: SeriesHeader) -> str | None:
    """The agent's name, or None where the element is empty or says "none", "no", "ohne KM"."""
    return header.contrast_agent.strip() if names_agent(header.contrast_agent) else None


def names_agent(stated: str) -> bool:
    """Whether the text of ContrastBolusAgent names an agent."""
    return not _NO_AGENT.match(stated)
