"""A name of the program in, its identifier in HL7 v2.5.1 out: at most 20 characters (CE.1, CWE.1 and OBX-4). Pure.

A receiver may cut what is longer, and cutting made the left and the right capsule one.
"""

from __future__ import annotations

import hashlib

LONGEST = 20  # characters
SHORTER = (  # word of a name -> its form in a name that is too long, in this order
    ("neurotoxicity", "nt"),
    ("external_extreme_capsule", "ext_capsule"),
    ("hippocampus_amygdala", "hippo_amygdala"),
    ("extraventricular", "extravent"),
    ("_percent", "_pct"),
    ("_volume", "_vol"),
    ("enhancing", "enh"),
    ("corpus_callosum", "callosum"),
    ("internal_capsule", "int_capsule"),
    ("white_matter", "wm"),
    ("ventricle", "ventr"),
    ("cortex_", "cx_"),
    ("flair", "fl"),
    ("_prior", ""),
    ("chronic", "old"),
)
MARK = 4  # characters that tell names apart which nobody shortened


def hl7_code(name: str) -> str:
    """The name itself, or its shorter form. Two names never have one code."""
    code = name
    for word, form in SHORTER:
        if len(code) <= LONGEST:
            return code
        code = code.replace(word, form)
    if len(code) <= LONGEST:
        return code
    mark = hashlib.sha256(name.encode()).hexdigest()[:MARK]
    return f"{code[: LONGEST - MARK - 1]}_{mark}"
