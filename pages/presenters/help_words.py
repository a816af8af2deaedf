"""The words of a question to the help: what people type, made into what the guides say."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache
from unicodedata import normalize

from thuesim.folding import without_accents

MIN_LETTERS = 4  # of a word that may be mistyped: shorter ones are near to too many others
MIN_LIKENESS = 0.8  # of a mistyped word to the one that was meant, as difflib measures it

# What a question has beside its subject. "sao chép" is to copy.
_STOP_WORDS = {
    "en": (
        "a|an|and|are|be|can|could|did|do|does|for|happens|has|have|how|i|if|in|is|it|me|mean|means|meaning|my|of|on|or|"
        "please|should|that|the|this|was|what|what's|when|where|which|who|why|will|with|would|you|your"
    ),
    "vi": (
        "là gì|làm gì|làm sao|làm thế nào|như thế nào|thế nào|vì sao|tại sao|thì sao|ra sao|sao(?! chép)|ở đâu|được không|"
        "có phải|nghĩa là|là|thì|gì|tôi|mình|em|của|cách|muốn|bao giờ|khi nào|ai|ạ|nhỉ|vậy|với"
    ),
}
# What people say, and how the guides say it.
_SYNONYMS = {
    "en": {
        "(colleague|employee|person|someone|somebody|member|he|she) (has )?(left|quit|resigned|leaves|leaving)( us)?( the)?"
        "( company| team| job)?": "person leaves",
        "(fired|laid off|offboarding|offboard)": "person leaves",
        "(no money|out of money|run out of money|no credit)( left)?": "budget reached",
        "(voice message|voicemail|voice mail|phone call)": "voice call recording",
        "(hotkeys?|shortcut keys?)": "keyboard",
        "(csv|spreadsheet)": "excel",
        "(2fa|mfa|authenticator)": "two-factor",
        "(sso|single sign on|oidc|open ?id)": "single sign-on",
        "(night mode|dark theme)": "dark mode",
        "(forgotten|lost) (my )?password": "forgot password",
        "(log ?in|login)": "sign in",
        "(log ?out|logout)": "sign out",
    },
    "vi": {
        "hết tiền": "hết ngân sách",
        "(tin nhắn thoại|thư thoại|tin thoại)": "cuộc gọi ghi âm",
        "không (gọi|lấy|lấy ra|có) được mã": "không nhận được mã",
        "(đồng nghiệp|nhân viên|người) (đã )?(nghỉ việc|thôi việc|rời công ty|nghỉ làm)": "một người nghỉ",
        "(nghỉ việc|thôi việc)": "một người nghỉ",
        "(sso|single sign-on|oidc|open ?id|đăng nhập 1 lần)": "đăng nhập một lần",
        "(bàn phím tắt|tổ hợp phím)": "phím tắt",
        "(chế độ tối|nền tối|nền đen)": "giao diện tối",
        "(2fa|xác thực 2 bước)": "xác thực hai bước",
        "(nghe|bật|tắt) (âm thanh|chuông|tiếng)": "âm thanh",
    },
}


def subject_of(question: str, language: str) -> str:
    """Return what a question asks for, in the words of the guides; the question where nothing else is in it.

    Accents count where the question has some.
    """
    text = normalize("NFC", question).lower()
    plain = text == without_accents(text)
    for pattern, words in _synonyms(language, plain):
        text = pattern.sub(words, text)
    subject = _stop_words(language, plain).sub(" ", text)
    return subject if re.search(r"\w", subject) else text


def nearest_word(word: str, vocabulary: Collection[str]) -> str:
    """Return the word of the guides that a mistyped one is likest to, `""` where there is none."""
    if len(word) < MIN_LETTERS:
        return ""
    initial = [other for other in vocabulary if other[:1] == word[:1]]
    return next(iter(get_close_matches(word, initial, n=1, cutoff=MIN_LIKENESS)), "")


@cache
def _synonyms(language: str, plain: bool) -> list[tuple[re.Pattern[str], str]]:
    return [(_pattern(phrases, plain), words) for phrases, words in _SYNONYMS[language].items()]


@cache
def _stop_words(language: str, plain: bool) -> re.Pattern[str]:
    return _pattern(_STOP_WORDS[language], plain)


def _pattern(words: str, plain: bool) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{without_accents(words) if plain else words})\b")
