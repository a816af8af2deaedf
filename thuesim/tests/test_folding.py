import unicodedata

import pytest

from thuesim.folding import fold, without_accents, without_marks

LETTERS = "ÀÁẢÃẠ ĂẰẮẲẴẶ ÂẦẤẨẪẬ ÈÉẺẼẸ ÊỀẾỂỄỆ ÌÍỈĨỊ ÒÓỎÕỌ ÔỒỐỔỖỘ ƠỜỚỞỠỢ ÙÚỦŨỤ ƯỪỨỬỮỰ ỲÝỶỸỴ Đ"
PLAIN = "aaaaa aaaaaa aaaaaa eeeee eeeeee iiiii ooooo oooooo oooooo uuuuu uuuuuu yyyyy d"


@pytest.mark.parametrize("letters", [LETTERS, LETTERS.lower()])
def test_every_vietnamese_letter_loses_its_accents_and_its_case(letters: str) -> None:
    assert without_accents(unicodedata.normalize("NFC", letters)) == PLAIN
    assert without_accents(unicodedata.normalize("NFD", letters)) == PLAIN


def test_white_space_stays_as_it_is_where_only_accents_go() -> None:
    assert without_accents(" Số  dư\n") == " so  du\n"


@pytest.mark.parametrize("text", ["Số dư", "SO DU", " số \n dư ", "so du"])
def test_texts_that_differ_in_accents_case_and_spaces_are_folded_to_one(text: str) -> None:
    assert fold(text) == "so du"


def test_marks_and_invisible_characters_go_and_the_case_stays() -> None:
    assert without_marks("Mã\u200b XÁC thực: １２３\n") == "Ma XAC thuc: 123\n"
    assert without_marks("인증번호 รหัสยืนยัน") == "인증번호 รหสยนยน"
