"""How often the right code is found in messages in the manner of many services: never a wrong one, seldom none."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from thuesim.codes import copied, extract_code

FOLDER = Path(__file__).with_name("messages")
FILE = FOLDER / "with_codes.txt"
NONE = "none"
# How many codes may be missed, of all and in one file. The blocks are made of what the rules had difficulty with.
MAX_MISSED, MAX_MISSED_IN_A_FILE = 0.03, 0.07


class Sample(NamedTuple):
    """A message and its code, `""` where it has none."""

    code: str
    text: str

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the fifth that the rules were written without."""
        return int(hashlib.sha256(self.text.encode()).hexdigest(), 16) % 5 == 0


def read(path: Path) -> list[Sample]:
    samples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(("# ", "==")) or line in {"", "#"}:
            continue
        code, _, text = line.partition(" | ")
        text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text.replace("⏎", "\n"))
        samples.append(Sample("" if code == NONE else copied(code), text))
    return samples


SETS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.txt"))}
HELD_OUT = [sample for sample in SETS[FILE.stem] if sample.held_out]


def test_the_corpus_is_large_mixed_and_without_doubles() -> None:
    samples = SETS[FILE.stem]
    everything = [sample for each in SETS.values() for sample in each]
    assert len(samples) >= 300
    assert len(everything) >= 5000
    assert len({sample.text for sample in everything}) == len(everything)
    assert sum(not sample.code for sample in everything) > len(everything) / 2
    assert all(sample.text and re.fullmatch("[A-Za-z0-9-]{4,8}|", sample.code) for sample in everything)
    assert 0.15 < len(HELD_OUT) / len(samples) < 0.25


def score(name: str, samples: list[Sample]) -> float:
    """Print how the samples do and return the share of codes that are missed. Fails where one is wrong."""
    answers = [(copied(extract_code(sample.text)), sample) for sample in samples]
    wrong = [(answer, sample) for answer, sample in answers if answer and answer != sample.code]
    missed = [sample for answer, sample in answers if sample.code and not answer]
    with_code = sum(bool(sample.code) for sample in samples)
    print(f"\n{name}: {len(samples)} messages, {with_code} with a code: wrong {len(wrong)}, missed {len(missed)}")
    assert wrong == []
    return len(missed) / with_code


@pytest.mark.parametrize("name", SETS)
def test_no_code_is_wrong_and_few_are_missed(name: str) -> None:
    assert score(name, SETS[name]) <= MAX_MISSED_IN_A_FILE


def test_few_are_missed_in_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert score("held out", HELD_OUT) <= MAX_MISSED
    with capsys.disabled():  # the figure of a green run
        missed = score("all", [sample for samples in SETS.values() for sample in samples])
    assert missed <= MAX_MISSED
