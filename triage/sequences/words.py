"""The words that technologists write: a series' description in, what it claims out.

Technologists choose descriptions freely and copy them between protocols. So the rules ask the timing first, and words
decide only what the timing leaves open (``rules.py``).
"""

from __future__ import annotations

import re

from triage.model import SeriesHeader

# Separators become spaces, so that \b works on "tirm_tra_dark-fluid". "+" stays: it means contrast ("T1+C", "+Gd").
_SEPARATORS = re.compile(r"[_\-./\\^*:,;()\[\]]+")
_MINUS = re.compile(r"(?<![^\W_])(c|km|gd)-(?=\s|$|_)")

FLAIR = re.compile(r"flair|dark ?fluid|fluid atten|\btirm\b|\bfluide? sombre\b")
T1 = re.compile(r"\bt1|t1w?\b|mp ?rage|mprage|bravo|\bspgr\b|t1tfe|\btfl\b|\bvibe\b|\bthrive\b|\blava\b")
T1_FLAIR = re.compile(r"t1 ?w? ?(?:\w+ )?flair|flair t1|t1flair")
T2 = re.compile(r"\bt2(?! ?\*| ?star| ?flair)|t2w\b")
T2_STAR = re.compile(r"t2 ?star|t2\*|\bhemo|\bt2 ?ffe\b|\bt2 ?gre\b|\bfl2d\b|\bmerge\b")
STIR = re.compile(r"\bstir\b|short tau")
DOUBLE_INVERSION = re.compile(r"\bdir\b|double inversion|\bdoppel ?inversion|cube ?dir\b")
LOCALIZER = re.compile(r"locali[sz]er|lokalizer|scout|survey|surview|\bplan ?scan\b|\brep[eé]rage\b|\bloka\b")
# Also said of a whole stack: "T1 loc" of a navigation, "T2 FLAIR 3 plane" of a reformat
PLANES = re.compile(r"\blocs?\b|\b3 ?(?:pl\b|plane|pl ?loc)")
ANGIOGRAPHY = re.compile(
    r"\btof\b|\bmra\b|angio|\bcow\b|venogra|\bmrv\b|\bpca?\b(?= ?3d| ?2d| ?mr)|inhance|\btwist\b|\btricks\b"
)
SWI = re.compile(
    r"\bswi\w?\b|\bswan\b|venbold|\bswip\b|susceptib|\bfsbb\b|\bbsi\b"
    r"|\bpha images|\bmag images|mip images"
)
# "FLAIR post perf" is not perfusion itself
PERFUSION = re.compile(
    r"(?<!\bpost )(?<!\bpre )(?<!\bafter )(?<!\bbefore )(?<!\bnach )(?<!\bvor )(?<!\bapr[eè]s )(?<!\bavant )"
    r"(?:perf|\bdsc\b|\bdce\b|\basl\b|\bpasl\b|\bpcasl\b|\bcbf\b|\bcbv\b|\brcbv\b|\bmtt\b|\bttp\b|\btmax\b)"
)
BOLD = re.compile(r"\bbold\b|fmri|resting ?state|\brs ?fmri\b")
DIFFUSION = re.compile(r"\bdwi\b|\bdti\b|\bdiff(?:us\w*)?\b|\bresolve\b|\bb ?1000\b|\btrace ?w?\b|\bdwibs\b")
ADC = re.compile(r"(?<!e)\badc\b|apparent diff|\bdadc\b|\badc map|\bisoadc\b")
EXPONENTIAL_ADC = re.compile(r"\beadc\b|exponential|\bexp ?adc\b")
TENSOR_MAP = re.compile(r"\bfa\b|col ?fa\b|fractional|\btensor\b|\bmd map\b|\btractogra|\bbo? map")
# Maps and masks that are made of measured images; asked of derived series only
COMPUTED = re.compile(
    r"\bmaps?\b|\bmapping\b|relax(?:ometry|ation)?\b|\bmyc\b|\bmyelin\b|\bsegmentations?\b|\bmasks?\b|\blabels?\b"
    r"|\boverlay\b|\bz ?scores?\b|\bprobabilit\w*|\bdifference\b"
)
# Fields of the magnet and of the transmitter, and what positron emission is corrected with
CALIBRATION = re.compile(r"field ?map|\bfmap\b|\bb[01] ?map|\bu ?map\b|\bmu ?map\b|\bmrac\b|attenuation (?:corr|map)")
# Computed for any timing from one scan of several echoes and delays
SYNTHETIC = re.compile(r"\bmagic\b|\bsymri\b|\bsynth(?:etic|etisch|esi[sz]ed)?\b")
PROJECTION = re.compile(r"\bmip\b|\bminip\b|\bmnip\b|\brot mip|projection")
SUBTRACTION = re.compile(r"\bsub\b|subtr|subtrak|subtraction")
# Siemens and Philips write it behind, GE before: "t1_vibe_dixon_F", "FAT: Ax T1 Flex"
FAT_OR_OPPOSED = re.compile(
    r"\bm?dixon\b.*\b(?:f|fat|opp?|opp ?phase|opposed|out)$|^(?:fat(?! ?s)|out ?phase|opp ?phase|opposed)\b"
)
BALANCED = re.compile(r"\bciss\b|fiesta|\bdrive\b|\bbffe\b|b ffe|trufi|true ?fisp|\btruefisp\b|\bconstructive\b")
PD = re.compile(r"\bpd\b|\bpdw\b|proton ?dens|\bdp\b|\bdensit")

# Words of ContrastBolusAgent. One that denies comes before all that could be a name; nothing else stands beside it.
_AGENT_AT_ALL = re.compile(r"km|iv|contrast\w*|kontrast\w*|agents?|medi\w+|mittel\w*|produit\w*|mdc|pdc|bolus")
_NONE = re.compile(
    r"no|non|none|nein|nil|null|not|nicht|kein\w*|n|na|without|wo|ohne|sans|sin|senza|sem|zonder|geen|ingen|inte|ikke"
    r"|uten|utan|uden|bez|brak|без|нет|aucun\w*|pas|nessun\w*|ning[uú]n\w*|nenhum\w*|unenhanced|native?|plain|refused"
    r"|declined|0+(?:ml|cc)?|無し?|无|なし|没有"
)
_BESIDE_NONE = re.compile(
    r"ml|cc|de|of|d|any|the|was|given|gegeben|admin\w*|verabreicht|used|utilis\w*|inj\w*|done|applied|needed|required"
    r"|enhanc\w*|gad\w*|gd|omniscan|dota\w*|magnevist|multihance|prohance|clariscan|primovist|eovist"
)


def normalised(text: str) -> str:
    """Lower case, separators as single spaces; 't1_mprage-sag' -> 't1 mprage sag'."""
    lowered = _MINUS.sub(r"\1 minus ", text.lower())  # "T1 C-": before its hyphen becomes a space
    return " ".join(_SEPARATORS.sub(" ", lowered).split())


def described(header: SeriesHeader) -> str:
    """The series' own words: its description, or ProtocolName without one (on GE it names the whole examination)."""
    return normalised(header.series_description or header.protocol_name)


def says(pattern: re.Pattern[str], header: SeriesHeader) -> bool:
    """Whether the series' own words contain the pattern."""
    return pattern.search(described(header)) is not None


def contrast_agent(header: SeriesHeader) -> str | None:
    """The agent's name, or None where the element is empty or says "none", "no", "ohne KM"."""
    return header.contrast_agent.strip() if names_agent(header.contrast_agent) else None


def names_agent(stated: str) -> bool:
    """Whether the text of ContrastBolusAgent names an agent: "none", "kein KM" and "0 ml" do not, "removed" does."""
    text = re.sub(r"\b(i|w|n) (v|o|a)\b", r"\1\2", normalised(stated))
    said = re.sub(r"[+?!]", " ", text).split()
    while len(said) > 1 and _AGENT_AT_ALL.fullmatch(said[0]):
        said = said[1:]
    if not said or not _NONE.fullmatch(said[0]):
        return bool(said)
    return not all(any(one.fullmatch(word) for one in (_NONE, _AGENT_AT_ALL, _BESIDE_NONE)) for word in said)
