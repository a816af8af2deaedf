"""How often the right code is found in messages in the manner of many services: never a wrong one, seldom none."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from thuesim.codes import copied, extract_code

FILE = Path(__file__).with_name("messages_with_codes.txt")
DOUBT = Path(__file__).with_name("messages_of_doubt.txt")
NONE = "none"


class Sample(NamedTuple):
    """A message and its code, `""` where it has none."""

    code: str
    text: str

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the fifth that the rules were written without."""
        return int(hashlib.sha256(self.text.encode()).hexdigest(), 16) % 5 == 0


def read(path: Path = FILE) -> list[Sample]:
    samples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(("# ", "==")) or line in {"", "#"}:
            continue
        code, _, text = line.partition(" | ")
        text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text.replace("⏎", "\n"))
        samples.append(Sample("" if code == NONE else code, text))
    return samples


def test_the_corpus_is_large_mixed_and_without_doubles() -> None:
    samples = read()
    assert len(samples) >= 300
    assert len({sample.text for sample in samples}) == len(samples)
    assert sum(not sample.code for sample in samples) > len(samples) / 4
    assert all(sample.text and re.fullmatch("[A-Za-z0-9]{4,8}|", sample.code) for sample in samples)
    assert 0.15 < sum(sample.held_out for sample in samples) / len(samples) < 0.25


SETS = {
    "tuned": [sample for sample in read() if not sample.held_out],
    "held out": [sample for sample in read() if sample.held_out],
    "doubtful": read(DOUBT),
}


@pytest.mark.parametrize("name", SETS)
def test_no_code_is_wrong_and_few_are_missed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    samples = SETS[name]
    answers = [(copied(extract_code(sample.text)), sample) for sample in samples]
    wrong = [(answer, sample) for answer, sample in answers if answer and answer != sample.code]
    missed = [sample for answer, sample in answers if sample.code and not answer]
    with_code = sum(bool(sample.code) for sample in samples)
    with capsys.disabled():
        print(f"\n{name}: {len(samples)} messages, {with_code} with a code: wrong {len(wrong)}, missed {len(missed)}")
    assert wrong == []
    assert len(missed) <= 0.03 * with_code, missed
