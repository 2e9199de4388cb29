"""What a series' own words say about a contrast agent: a description in; before, after, open or nothing out.

"pre", "post", "vor", "nach" and "without" are also said of a treatment, of an operation and of fat suppression, so
their object decides. Where the object is missing, "post" may mean the agent: a T1 after it must not be taken for one
before. "pre" counts only where nothing else can be meant.
"""

from __future__ import annotations

import re
from enum import StrEnum

from triage.model import SeriesHeader
from triage.sequences import words


class ContrastSaid(StrEnum):
    """What a description says about the agent. OPEN: it says both, or what was before or after is not told."""

    BEFORE = "before"
    AFTER = "after"
    OPEN = "open"
    NOTHING = "nothing"


_AGENT = (
    r"gd|gad\w*|km|kontr(?!ol)\w*|contr(?!ol)\w*|ce|inj\w*|mdc|pdc|dotarem|dotagraf|clariscan|magnevist|multihance"
    r"|prohance|omniscan|primovist|eovist|elucirem|vueway|artirem|postcontrast|enhanced|контр\w*|ку|усил\w*"
)
_CELLS = (
    r"cart\w*|car|axi|tisa|liso|brexu|cilta|ide|kte|cells?|zell\w*|yescarta|kymriah|breyanzi|tecartus|abecma|carvykti"
)
# What is not the agent and can come before or after an examination
_EVENT = (
    rf"{_CELLS}|th[eé]rap\w*|terap\w*|treat\w*|behand\w*|trait\w*|tratam\w*|tratt\w*|tx|rx|x?rt|radiat\w*|radioth\w*"
    r"|bestr\w*|chemo\w*|chimio\w*|quimio\w*|op|oper\w*|surg\w*|chir\w*|cirug\w*|resec\w*|resek\w*|biops\w*|ictal\w*"
    r"|seiz\w*|stroke|trauma\w*|transplant\w*|h?a?sct|bmt|lymph\w*|leuk\w*|ld|bridging|steroid\w*|dexa\w*|cortis\w*"
    r"|days?|tage?|jours?|d\d+|weeks?|wochen?|months?|monate?|(?:\d?[156789]|\d0)d|\d+(?:w|wks?|m"
    r"|mos?|mon)|lp|evd|shunt|asl|icans|crs"
    r"|partum|mortem|vac+in\w*|proc\w*|лечен\w*|терап\w*|операц\w*"
)
_PLAIN = r"plain|precontrast|nati[vf]\w{0,2}|basale?|unenhanced|nonenhanced|noncon\w*|nongad\w*|okm|натив\w*"
_BEFORE = r"pre|vor|avant|before|prior|prima|antes|voor|przed|f[öø]re?|до"
_AFTER = r"post|nach|apr[eè]s|after|dopo|despu[eé]s|depois|ap[oó]s|efter|etter|после"
_WITHOUT = r"without|wo|ohne|sans|sin|senza|sem|zonder|bez|uten|utan|uden|non|без"
_NO = r"no|not|nicht|kein\w*|geen|ingen"
_WITH = r"with|mit|avec|con|com|met|med|с"
# What stands between such a word and its object
_LINK = r"and|und|et|e|y|en|og|och|i|iv|of|de|del|des|der|dem|die|d|l|la|le|les|il|the|any|von|zu|to|admin\w*|gabe"
_FAT = r"fs|fat\w*|sat\w*|spir|spair|dixon|supp\w*|fett?\w*"
_NEUTRAL = (
    r"ax\w*|tra\w*|sag\w*|cor\w*|kor\w*|obl\w*|t1\w*|t2\w*|flair|dark|fluid|mprage|mp|rage|rapid"
    r"|bravo|[ft]?se|[fg]re|t?f[fl]e"
    r"|[ft]spgr|spgr|tfl|vibe|spa?ce?|cube|vista|[234]d|iso\w*|mpr|brain|head|neuro|cereb\w*|cran\w*|sch[aä]del|kopf"
    r"|hirn|nav\w*|stealth|stereo\w*|dyn\w*|p\d|\d+(?:mm)?|scan|serie\w*|image\w*|mm|repeat|rep|wdh|hr|thin|recon"
)
_KINDS = {
    "agent": _AGENT, "event": _EVENT, "plain": _PLAIN, "before": _BEFORE, "after": _AFTER, "without": _WITHOUT,
    "no": _NO, "with": _WITH, "w": "w", "link": _LINK, "fat": _FAT, "neutral": _NEUTRAL, "infusion": r"infus\w*",
    "free": r"frei|free",
}  # fmt: skip
_KIND = re.compile("|".join(f"(?P<{kind}>{one})" for kind, one in _KINDS.items()))

_RELATIONS = ("before", "after", "without", "no", "with", "w")
# What may stand behind a word that has no object; "": the end
_MEANS_NOTHING_ELSE = {"before": ("", "neutral", "fat"), "without": ("",)}

# Phrases whose words would say something else alone; asked in this order
_PHRASES = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"造影前|[増增]强前|增強前|조영 ?전|[无無未非](?:造影|[增増][强強])|平[扫掃]|単純|单纯", " plain "),
        (r"造影|[增増][强強]|조영", " km "),
        (r"\+", " + "),
        (r"['’]", " "),
        (r"\bcar ?t\b", "cart"),
        (r"\b(?:inj\w*|(?:in|per)fus\w*)(?: (?:of|de|der|des|d|von))? (?:cart|cells?)\b", "cart"),
        (r"\b(?:cart|cells?)(?: (?:cells?|zell\w*|inj\w*|infus\w*|th[eé]rap\w*))+", "cart"),
        (r"\bw ?o\b", "wo"),
        (r"\bo ?km\b", "plain"),
        (r"\bpas d(?:e|u)?\b", "sans"),
        (r"\bi v\b", "iv"),
        (r"\b(?:c|km|gd) minus\b", "plain"),
        (r"\b(?:\d+ (?:d|days?|tage?|w|weeks?|wochen?|m|months?|monate?)|d \d+)\b", "days"),
        (r"\+ c\b|\bc \+|\b(t1 ?w?) ?c\b", r" \1 km "),
        (r"\b(t1w?|t1 ?se|mprage|flair|3d|2d|tra|sag|cor|ax)(?=(?:(?:gd|km)\b|gad|post|pre(?!p)))", r"\1 "),
        (r"\b(t1w?|mprage|flair)ce\b", r"\1 ce"),
        (r"\b(pre|post|vor|nach)(?=(?:c|gd|gad\w*|km|contr\w*|kontr\w*|inj\w*|ce|mdc)\b)", r"\1 "),
        (r"\b(pre|post|non?|without|with|wo|w) con?\b", r"\1 km"),
        (
            r"\b(?:high|low|good|better|best|soft|tissue|gr[ae]y|white|matter|image|multi|phase|inverse) contrast\b"
            r"|\bcontrast (?:resol\w*|ratio|opt\w*|level)|\benhanced (?:resol\w*|snr|speed|image)"
            r"|\bbasale? (?:gang\w*|cist\w*|nucl\w*)|\bnati[vf]e? (?:space|resol\w*|plane|matrix)",
            " other ",
        ),
    )
)


def said_of_contrast(header: SeriesHeader) -> ContrastSaid:
    """What the description says: 'T1 ohne KM' before, 'T1 +C' after, 'T1 pre and post Gd' open, 'T1 POST CAR-T'
    nothing."""
    text = words.described(header)
    for pattern, instead in _PHRASES:
        text = pattern.sub(instead, text)
    kinds = [_kind_of(word) for word in text.split()]
    claims = {_claim(kinds, n) for n in range(len(kinds))}
    before, after = ContrastSaid.BEFORE in claims, ContrastSaid.AFTER in claims
    if before != after:
        return ContrastSaid.BEFORE if before else ContrastSaid.AFTER
    return ContrastSaid.OPEN if before or ContrastSaid.OPEN in claims else ContrastSaid.NOTHING


def _kind_of(word: str) -> str:
    found = _KIND.fullmatch(word)
    return (found.lastgroup or "") if found else ("+" if word == "+" else "")


def _claim(kinds: list[str], n: int) -> ContrastSaid:  # noqa: PLR0911 - one answer for each kind of word
    """What one word says, by its neighbours."""
    kind, last = kinds[n], n == len(kinds) - 1
    previous = kinds[n - 1] if n else ""
    if kind == "plain":
        return ContrastSaid.BEFORE
    if kind == "agent":
        return _of_agent(kinds, n)
    if kind in ("before", "without", "no"):
        return _of_before(kinds, n, previous)
    if kind == "after":
        return _of_after(kinds, n, previous)
    if kind in ("with", "w") and _object(kinds, n) == "without":
        return ContrastSaid.AFTER
    if last and kind == "with":
        return ContrastSaid.AFTER
    return ContrastSaid.OPEN if last and kind == "+" else ContrastSaid.NOTHING


def _of_agent(kinds: list[str], n: int) -> ContrastSaid:
    """After, unless another word denies it or puts the series before it."""
    if kinds[n + 1 : n + 2] == ["free"]:
        return ContrastSaid.BEFORE
    at = n - 1
    while at >= 0 and kinds[at] in ("agent", "link"):
        at -= 1
    return ContrastSaid.NOTHING if at >= 0 and kinds[at] in ("before", "without", "no") else ContrastSaid.AFTER


def _of_before(kinds: list[str], n: int, previous: str) -> ContrastSaid:
    """Before, where the agent is the object, or where there is none and nothing else can be meant."""
    word, about = kinds[n], _object(kinds, n)
    while about in _RELATIONS:  # "pre and post contrast", "without and with"
        n = kinds.index(about, n + 1)
        about = _object(kinds, n)
    if about == "agent":
        return ContrastSaid.BEFORE
    if word == "no" or previous in ("event", "infusion"):
        return ContrastSaid.NOTHING
    return ContrastSaid.BEFORE if about in _MEANS_NOTHING_ELSE[word] else ContrastSaid.NOTHING


def _of_after(kinds: list[str], n: int, previous: str) -> ContrastSaid:
    about = _object(kinds, n)
    if about == "event":
        return ContrastSaid.NOTHING
    if about == "infusion" or (previous in ("event", "infusion") and about != "agent"):
        return ContrastSaid.OPEN  # an infusion of cells, or of the agent
    return ContrastSaid.AFTER


def _object(kinds: list[str], n: int) -> str:
    """The kind of the first word behind this one that is no link; "" at the end, and where it says nothing."""
    return next((kind for kind in kinds[n + 1 :] if kind != "link"), "")
